"""A fitted compressor: vectors of any width in, short ones out; kept as one safetensors file, never a pickle.

What all of them share. A number that is not finite is read as the middle of its column; a vector without any finite
number gives zeros, which is also the middle of all codes. Distinct vectors are learnt from once each: copies would only
be learnt by heart. Codes are centred and scaled to a mean squared length of 1, as unit vectors have: a model's block
field then learns at one pace whatever made them (why not faster: docs/vectors.md). Directions that tell more stay
longer; nothing is whitened.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from segments.errors import ContractBroken, Refused
from spark_jobs.vectors.method import Floats
from spark_jobs.vectors.registry import compressor_settings, method_of

if TYPE_CHECKING:
    from spark_jobs.vectors.method import Method
    from spark_jobs.vectors.settings import CompressorSettings

SETTINGS = "settings"
METHOD = "method."


@dataclass(frozen=True)
class Scaling:
    """What is taken away, (width,), and what the rest is divided by, so that its mean squared length is 1."""

    middle: Floats
    spread: float

    @classmethod
    def of(cls, rows: Floats) -> Scaling:
        """Of rows (n, width); rows that are all alike are only centred."""
        middle = rows.mean(axis=0, dtype=np.float64)
        spread = float(np.sqrt(np.square(rows - middle).sum(axis=1).mean()))
        return cls(middle.astype(np.float32), spread if spread > 1e-12 else 1.0)

    def there(self, rows: Floats) -> Floats:
        return np.asarray((rows - self.middle) / np.float32(self.spread), dtype=np.float32)

    def back(self, rows: Floats) -> Floats:
        return np.asarray(rows * np.float32(self.spread) + self.middle, dtype=np.float32)


@dataclass(frozen=True)
class Compressor:
    """See the module. Attributes: what it was fitted with, the method, and the scalings of vectors and of codes."""

    settings: CompressorSettings
    method: Method
    vectors: Scaling
    codes: Scaling

    @property
    def inputs(self) -> int:
        """Numbers in a vector."""
        return len(self.vectors.middle)

    @property
    def width(self) -> int:
        """Numbers in a code."""
        return len(self.codes.middle)

    def transform(self, vectors: Floats) -> Floats:
        """Codes (n, width) float32 of vectors (n, inputs).

        Raises:
            ContractBroken: vectors of another width.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.inputs:
            raise ContractBroken(f"the compressor was fitted on vectors of {self.inputs} numbers, not {vectors.shape}")
        finite = np.isfinite(vectors)
        ready = self.vectors.there(np.where(finite, vectors, self.vectors.middle))
        codes = self.codes.there(self.method.encode(ready))
        codes[~finite.any(axis=1)] = 0.0
        return codes

    def restored(self, codes: Floats) -> Floats | None:
        """Vectors (n, inputs) by the method's own way back; None: it has none."""
        found = self.method.decode(self.codes.back(codes))
        return None if found is None else self.vectors.back(found)

    def to_bytes(self) -> bytes:
        """What `from_bytes` reads: a safetensors file."""
        told = json.dumps(self.settings.model_dump(mode="json")).encode()
        arrays: dict[str, NDArray[Any]] = {SETTINGS: np.frombuffer(told, dtype=np.uint8)}
        arrays |= {f"{METHOD}{name}": array for name, array in self.method.arrays().items()}
        for name in ("vectors", "codes"):
            scaling: Scaling = getattr(self, name)
            arrays |= {f"{name}.middle": scaling.middle, f"{name}.spread": np.array([scaling.spread])}
        return safetensors.numpy.save(arrays)

    @classmethod
    def from_bytes(cls, content: bytes, *, where: str | None = None) -> Compressor:
        """The compressor that gave these bytes.

        Raises:
            ContractBroken: they are no compressor's.
        """
        try:
            arrays = safetensors.numpy.load(content)
            settings = compressor_settings(json.loads(arrays.pop(SETTINGS).tobytes()))
            scalings = [Scaling(arrays[f"{name}.middle"], float(arrays[f"{name}.spread"][0]))
                        for name in ("vectors", "codes")]  # fmt: skip
            own = {name.removeprefix(METHOD): array for name, array in arrays.items() if name.startswith(METHOD)}
            return cls(settings, method_of(settings.kind).of(own), *scalings)
        except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ContractBroken(
                "no compressor can be read here", where=where, hint="es-ranking vectors compress --keep writes one"
            ) from error


def fit(settings: CompressorSettings, vectors: Floats, *, width: int) -> Compressor:
    """Learns to compress vectors (n, d) to `width` numbers; the order of the vectors changes nothing.

    Raises:
        Refused: no vector with a finite number to learn from, or more numbers asked for than vectors have.
    """
    finite = np.isfinite(vectors)
    known = finite.any(axis=1)
    if not known.any():
        raise Refused("there are no vectors to learn a compressor from", hint="look at column `vector` of the items")
    if width > vectors.shape[1]:
        raise Refused(f"vectors of {vectors.shape[1]} numbers cannot be compressed to {width}", hint="a smaller width")
    vectors, finite = vectors[known], finite[known]
    total = np.where(finite, vectors, 0.0).sum(axis=0, dtype=np.float64)
    middle = total / np.maximum(finite.sum(axis=0), 1)
    rows = distinct(np.where(finite, vectors, middle).astype(np.float32))
    scaling = Scaling.of(rows)
    ready = scaling.there(rows)
    method = method_of(settings.kind).fit(ready, width, settings)
    return Compressor(settings, method, scaling, Scaling.of(method.encode(ready)))


def distinct(rows: Floats) -> Floats:
    """Each row once, in an order of their own."""
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    whole = rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).ravel()
    _, first = np.unique(whole, return_index=True)
    return rows[first]
