"""The stable 64-bit hash: the same number in every process, on every machine, in every later version.

Python's own `hash()` changes from process to process. Strings go through BLAKE2b (RFC 7693, 8-byte digest, little
endian); integers are stirred by the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), vectorised with numpy.
Everything keyed (embedding rows, exploration draws, A/B buckets, sampling) stands on these functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def hash64(*parts: str) -> int:
    """Hash of one or more strings, 0 … 2**64 - 1; ("ab", "c") and ("a", "bc") differ.

    >>> hash64("item", "42") == hash64("item", "42")
    True
    >>> hash64("ab", "c") == hash64("a", "bc")
    False
    """
    text = "\x1f".join(parts)
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def hash_strings(values: Iterable[str]) -> U64:
    """`hash64` of each value, as a uint64 array. Hash the distinct values of a column, then index."""
    digests = b"".join(blake2b(v.encode("utf-8", "surrogatepass"), digest_size=8).digest() for v in values)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def stir(values: U64, salt: int = 0) -> U64:
    """SplitMix64 of each number plus a salt: an independent-looking uint64 for each (value, salt)."""
    with np.errstate(over="ignore"):
        z = values + (np.uint64(salt & 0xFFFFFFFFFFFFFFFF) + np.uint64(1)) * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)


def uniforms(values: U64, salt: int = 0) -> NDArray[np.float64]:
    """One number of the open interval (0, 1) for each key: a counter-based random draw, whatever the order.

    The top 53 bits of `stir`, centred, so that neither 0 nor 1 is ever returned.
    """
    return (np.asarray(stir(values, salt) >> np.uint64(11), dtype=np.float64) + 0.5) * 2.0**-53
