"""Of the actions that cover a list and a segment the first is done, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segments.errors import UsageError
from spark_jobs.lures.actions import act_on_lures
from spark_jobs.lures.settings import LureAction, LureSettings

# Two lists of five; the first of each is a lure.
VALUE = np.array([0.99, 0.8, 0.7, 0.6, 0.5, 0.98, 0.4, 0.3, 0.2, 0.1])
LISTS = np.repeat([0, 1], 5)
LURE = np.array([True, False, False, False, False] * 2)
NAMES = ["GROCERY>SOUP", "TOYS"]


def acted(*actions: dict[str, Any], segment: str = "all") -> Any:
    settings = LureSettings.of({"actions": list(actions)})
    return act_on_lures(VALUE, LISTS, LURE, names=NAMES, segment=segment, actions=settings.actions)


def places(value: Any, of: int) -> list[int]:
    return np.argsort(-value[5 * of : 5 * of + 5]).tolist()


def test_lures_of_lists_and_segments_that_no_action_covers_stay() -> None:
    soup = {"do": "sink", "top_n": 2, "lists": ["GROCERY"]}
    done = acted(soup)
    assert (places(done.value, 0), places(done.value, 1)) == ([1, 2, 0, 3, 4], [0, 1, 2, 3, 4])
    assert done.last.tolist() == [True] + [False] * 9
    young = acted({**soup, "segments": ["young"]})
    assert (young.value == VALUE).all()
    assert places(acted({**soup, "segments": ["young"]}, segment="young").value, 0) == [1, 2, 0, 3, 4]
    # A list is covered by what is above it, not by what only begins as it does.
    assert (acted({**soup, "lists": ["GRO"]}).value == VALUE).all()


def test_the_first_that_covers_is_done() -> None:
    done = acted({"do": "leave", "lists": ["TOYS"]}, {"do": "multiply", "factor": 0.7})
    assert done.factor.tolist() == [0.7] + [1.0] * 9
    assert places(done.value, 0) == [1, 2, 0, 3, 4]
    assert places(done.value, 1) == [0, 1, 2, 3, 4]
    assert not done.last.any()


def test_one_of_each_kind_side_by_side() -> None:
    done = acted({"do": "cap", "page": 3, "most": 1, "lists": ["GROCERY>SOUP"]}, {"do": "sink", "top_n": 4})
    assert places(done.value, 0) == [0, 1, 2, 3, 4], "one lure may stand on the page"
    assert places(done.value, 1) == [1, 2, 3, 4, 0]
    # behind the four best of the whole shelf that are no lures of this action: 0.99, 0.8, 0.7 and 0.6
    assert done.value[5] < 0.6


@pytest.mark.parametrize(
    "wrong",
    [
        {"actions": [{"do": "hide"}]}, {"actions": [{"do": "cap", "most": 0}]}, {"actions": [{"factor": 2.0}]},
        {"marks": {"x": "("}}, {"threshold": 0}, {"top_n": 20},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        LureSettings.of(wrong)


def test_the_default_is_to_sink_everywhere() -> None:
    assert LureSettings().actions == (LureAction(do="sink", top_n=100),)
