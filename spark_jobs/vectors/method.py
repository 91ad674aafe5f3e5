"""What a way of compressing is: arrays learnt from vectors, a way in, and where there is one a way back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Method(ABC):
    """A fitted way of compressing. A subclass is a dataclass whose fields are arrays: they are all that is kept.

    Vectors come centred and scaled to a mean squared length of 1, without gaps (`compressor.Compressor` sees to it).
    """

    @classmethod
    @abstractmethod
    def fit(cls, vectors: Floats, width: int, settings: Any) -> Self:
        """Learns from distinct vectors (n, d), n ≥ 1, to give codes of `width` ≤ d numbers."""

    @abstractmethod
    def encode(self, vectors: Floats) -> Floats:
        """Codes (n, width) of vectors (n, d)."""

    def decode(self, codes: Floats) -> Floats | None:
        """Vectors (n, d) that have these codes, as near as the method can tell; None: it has no way back."""
        del codes
        return None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `of` makes the same method from."""
        return {field.name: np.ascontiguousarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """The method that had these arrays."""
        return cls(**arrays)
