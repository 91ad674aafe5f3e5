"""The stable hash: the numbers themselves are the contract, so they stand here as constants."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.hashing import hash64, hash_strings, stir, uniforms

# First outputs of SplitMix64 for two seeds, as published with the generator's reference implementations.
SPLITMIX64 = {
    0: [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F],
    1234567: [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821],
}


@pytest.mark.parametrize("seed", SPLITMIX64)
def test_stir_is_splitmix64(seed: int) -> None:
    """The n-th output of the generator is the finaliser of seed + n times the golden gamma: salt n − 1 here."""
    value = np.array([seed], dtype=np.uint64)
    assert [int(stir(value, salt)[0]) for salt in range(len(SPLITMIX64[seed]))] == SPLITMIX64[seed]


def test_published_hashes_never_change() -> None:
    assert hash64("item", "42") == 14349354250869395080
    assert hash64("") == 13020603013274838756
    assert hash64("a") == 3405396810240292928
    assert hash_strings(["a", "", "a"]).tolist() == [hash64("a"), hash64(""), hash64("a")]
    assert hash_strings([]).dtype == np.uint64
    assert uniforms(np.array([0, 1], dtype=np.uint64)).tolist() == [0.8833108082136427, 0.566561575172281]


def test_another_process_gives_the_same() -> None:
    code = "from segments.hashing import hash64; print(hash64('item', '42'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env={"PYTHONHASHSEED": "12345", "PYTHONPATH": "."})  # fmt: skip
    assert int(done.stdout) == hash64("item", "42")


def test_what_is_no_unicode_still_hashes() -> None:
    assert hash64("\ud800") != hash64("\ud801")


@settings(deadline=None)
@given(st.lists(st.text(st.characters(blacklist_characters="\x1f"), max_size=4), min_size=1, max_size=3),
       st.lists(st.text(st.characters(blacklist_characters="\x1f"), max_size=4), min_size=1, max_size=3))  # fmt: skip
def test_different_parts_differ(one: list[str], other: list[str]) -> None:
    assert (hash64(*one) == hash64(*other)) == (one == other)


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(-(2**70), 2**70))
def test_uniforms_lie_strictly_inside(value: int, salt: int) -> None:
    (found,) = uniforms(np.array([value], dtype=np.uint64), salt).tolist()
    assert 0.0 < found < 1.0


def test_uniforms_are_uniform_and_salts_independent() -> None:
    keys = np.arange(200_000, dtype=np.uint64)
    one, other = uniforms(keys, 1), uniforms(keys, 2)
    counts = np.bincount((one * 20).astype(int), minlength=20)
    # chi-square with 19 degrees of freedom: 43.8 is exceeded once in a thousand
    assert float(((counts - 10_000) ** 2 / 10_000).sum()) < 43.8
    assert abs(float(np.corrcoef(one, other)[0, 1])) < 0.01
    assert abs(float(np.corrcoef(one[:-1], one[1:])[0, 1])) < 0.01
