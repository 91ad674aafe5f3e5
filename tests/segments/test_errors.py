"""The error tree: one line, an exit code, and home from a Spark worker in one piece."""

from __future__ import annotations

import pickle

import pytest

from segments.errors import (
    ContractBroken,
    EngineUnreachable,
    MissingExtra,
    RankingError,
    Refused,
    UsageError,
)

CODES = {RankingError: 1, UsageError: 2, MissingExtra: 2, Refused: 3, ContractBroken: 4, EngineUnreachable: 5}


@pytest.mark.parametrize(("kind", "code"), CODES.items())
def test_every_kind_has_its_documented_exit_code(kind: type[RankingError], code: int) -> None:
    assert kind("what").exit_code == code
    assert issubclass(kind, RankingError)


def test_a_message_says_what_where_and_what_next() -> None:
    assert str(Refused("no data", where="run 1", hint="load it")) == "no data (run 1). Hint: load it"
    assert str(Refused("no data")) == "no data"


@pytest.mark.parametrize("kind", CODES)
def test_pickled_whole(kind: type[RankingError]) -> None:
    error = kind("no data", where="run 1", hint="load it")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (back.what, back.where, back.hint, str(back)) == ("no data", "run 1", "load it", str(error))


def test_unknown_names_the_nearest() -> None:
    message = str(UsageError.unknown("model", "deepfn", ["logistic", "deepfm"], where="shelves"))
    assert message == "unknown model 'deepfn' (shelves). Hint: known: deepfm"
    assert "a, b" in str(UsageError.unknown("model", "zzzz", ["b", "a"]))
    assert "none" in str(UsageError.unknown("model", "zzzz", []))


def test_a_missing_extra_prints_the_pip_command() -> None:
    assert "pip install 'es-ranking[batch]'" in str(MissingExtra.of("batch", "torch"))
