"""Cursors: forged, damaged, expired or foreign ones are refused in one clear line, never with a traceback."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from es_ranking.query import cursor as module
from es_ranking.query.cursor import Cursor, spec_hash
from segments.errors import UsageError

KEY = b"0123456789abcdef"
SPEC = spec_hash({"query": {"match_all": {}}})
GIVEN = Cursor(
    "shop",
    "shop-20171127t000000-1",
    "shop-20171127t000000-1",
    "d_ü",
    "B",
    "n1",
    1_511_740_800_000,
    SPEC,
    40,
    ("tastes_unavailable",),
    1000,
)


def test_what_is_sealed_is_read() -> None:
    text = GIVEN.seal(KEY)
    assert Cursor.open(text, spec=SPEC, now=999.0, key=KEY) == GIVEN
    assert Cursor.open(GIVEN.seal(), spec=SPEC, now=999.0) == GIVEN, "without a key: within this process"
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


def test_expired_and_foreign() -> None:
    with pytest.raises(UsageError, match="expired"):
        Cursor.open(GIVEN.seal(KEY), spec=SPEC, now=1000.5, key=KEY)
    with pytest.raises(UsageError, match="another query"):
        Cursor.open(GIVEN.seal(KEY), spec=spec_hash({"query": {}}), now=1.0, key=KEY)
    with pytest.raises(UsageError, match="not a cursor of ours"):
        Cursor.open(GIVEN.seal(KEY), spec=SPEC, now=1.0, key=b"another key of 16")


def test_every_changed_character_is_noticed() -> None:
    text = GIVEN.seal(KEY)
    rng = random.Random(3)
    for place in range(len(text)):
        other = rng.choice([c for c in "ABCxyz019-_." if c != text[place]])
        with pytest.raises(UsageError, match="not a cursor of ours"):
            Cursor.open(text[:place] + other + text[place + 1 :], spec=SPEC, now=1.0, key=KEY)


def test_a_payload_signed_by_nobody() -> None:
    payload, _ = replace(GIVEN, position=0).seal(KEY).split(".")
    for signature in ("", "A" * 43, GIVEN.seal(KEY).split(".")[1]):
        with pytest.raises(UsageError, match="not a cursor of ours"):
            Cursor.open(f"{payload}.{signature}", spec=SPEC, now=1.0, key=KEY)


def test_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    text = GIVEN.seal(KEY)
    monkeypatch.undo()
    with pytest.raises(UsageError, match="another version"):
        Cursor.open(text, spec=SPEC, now=1.0, key=KEY)


def test_the_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(module.KEY_VARIABLE, "short")
    with pytest.raises(UsageError, match="too short"):
        GIVEN.seal()
    monkeypatch.setenv(module.KEY_VARIABLE, KEY.decode())
    assert module.has_lasting_key()
    assert GIVEN.seal() == GIVEN.seal(KEY)


def test_the_specification_is_everything_that_decides_the_order() -> None:
    assert spec_hash({"a": 1, "b": [1, 2]}) == spec_hash({"b": [1, 2], "a": 1})
    assert spec_hash({"b": [1, 2]}) != spec_hash({"b": [2, 1]})


def test_a_specification_without_a_bottom_is_refused() -> None:
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"bool": deep}
    with pytest.raises(UsageError, match="nested too deep"):
        spec_hash([deep])
