"""Item vectors as they travel: half-precision numbers, little-endian, as base64 in a binary field with doc values.

Half precision keeps eleven bits of a number, more than a dot product of dozens of them needs; decision 14 has the
measurements of this form against others.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
PACKED = np.dtype("<f2")


def pack(vector: NDArray[Any]) -> bytes:
    """The bytes of one vector; numbers beyond half precision become its largest."""
    limit = float(np.finfo(PACKED).max)
    return np.clip(np.asarray(vector, dtype=np.float64), -limit, limit).astype(PACKED).tobytes()


def unpack(packed: bytes) -> Floats:
    """A vector from its bytes; nothing, (0,), where they are none."""
    if len(packed) % PACKED.itemsize:
        return np.zeros(0, dtype=np.float32)
    found = np.frombuffer(packed, dtype=PACKED).astype(np.float32)
    return found if np.isfinite(found).all() else np.zeros(0, dtype=np.float32)


def to_text(packed: bytes) -> str:
    """As a document holds it."""
    return base64.b64encode(packed).decode("ascii")


def from_text(text: str | None) -> Floats:
    """A vector as a document holds it, (d,); nothing, (0,), where there is none."""
    return unpack(_bytes(text))


def from_texts(texts: Sequence[str | None], width: int) -> Floats:
    """(n, width) vectors; zeros, which say nothing, where there is none or one of another width."""
    size = width * PACKED.itemsize
    nothing = bytes(size)
    whole = b"".join(part if len(part) == size else nothing for part in map(_bytes, texts))
    found = np.frombuffer(whole, dtype=PACKED).reshape(len(texts), width).astype(np.float32)
    return np.where(np.isfinite(found), found, np.float32(0.0))


def _bytes(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "")
    except (binascii.Error, ValueError):
        return b""
