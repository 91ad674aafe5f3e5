"""What a report says of logs that were read: splits that are off, users who saw both, thinned lists, three variants."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
import pytest

from es_ranking.query.exposures import Exposure
from es_ranking.serve.events import Event
from spark_jobs.ab_files import EVENTS, EXPOSURES
from spark_jobs.ab_logs import BEFORE, COUNTS, AbLogs
from spark_jobs.ab_report import judge


def logs_of(
    variant: np.ndarray, *, user: np.ndarray | None = None, shares: dict[tuple[int, str], float] | None = None,
    lift: tuple[float, ...] = (0.0, 0.0, 0.0),
) -> AbLogs:  # fmt: skip
    rows = variant.size
    generator = np.random.default_rng(4)
    counts = {name: np.zeros(rows) for name in (*COUNTS, *BEFORE)}
    counts["views"], counts["shown"] = np.ones(rows), np.full(rows, 10.0)
    counts["clicks"] = generator.binomial(10, 0.2 * (1 + np.array(lift)[variant])).astype(np.float64)
    zeros = np.zeros(rows, dtype=np.int64)
    return AbLogs(
        users=[str(n) for n in range(rows)], variants=["A", "B", "C"][: int(variant.max()) + 1], segments=["all"],
        days=["2026-11-02"], user=np.arange(rows) if user is None else user, variant=variant, segment=zeros, day=zeros,
        epoch=zeros + 1, counts=counts, shares=shares or {(1, "A"): 0.5, (1, "B"): 0.5},
        shown={"A": np.array([8.0, 0.0, 0.0, 0.0]), "B": np.array([2.0, 2.0, 2.0, 2.0])}, candidates=4, forced=0,
        refused={"exposures": 2, "events": 0},
    )  # fmt: skip


def test_a_split_that_is_off_is_said_first() -> None:
    told = judge(logs_of(np.repeat([0, 1], [600, 400])), "x", control="A")
    assert told["sample_ratio"]["sound"] is False
    assert told["warnings"][0].startswith("the split is not the one that was ordered")
    assert told["warnings"][-1] == "2 rows of the exposures cannot be used"
    even = judge(logs_of(np.repeat([0, 1], 500)), "x", control="A")
    assert even["sample_ratio"] == {"p": 1.0, "sound": True}
    assert json.loads(json.dumps(even, allow_nan=False)) == even


def test_users_who_saw_both_are_told_unless_requests_are_cut() -> None:
    variant = np.tile([0, 1], 300)
    logs = logs_of(variant, user=np.repeat(np.arange(300), 2))
    assert any("saw several variants" in line for line in judge(logs, "x", control="A")["warnings"])
    cut = judge(logs, "x", control="A", unit="request")
    assert not any("saw several variants" in line for line in cut["warnings"])
    assert cut["epochs"][0]["units"] == {"A": 300, "B": 300}


def test_diversity_coverage_and_centrality_by_hand() -> None:
    told = judge(logs_of(np.tile([0, 1], 300)), "x", control="A")["variants"]
    assert (told["A"]["coverage"], told["A"]["entropy"], told["A"]["centrality_ratio"]) == (0.25, 0.0, 1.0)
    assert (told["B"]["coverage"], told["B"]["entropy"], told["B"]["centrality_ratio"]) == (1.0, 1.0, 0.25)


def test_what_the_logs_do_not_tell_of_is_left_out() -> None:
    logs = logs_of(np.tile([0, 1], 300))
    told = judge(logs, "x", control="A")["metrics"]
    assert not {"brand_diversity", "margin_per_user", "scroll_depth"} & set(told)
    logs.counts["seen"][:], logs.counts["lists"][:] = np.tile([4.0, 6.0], 300), 2.0
    depth = judge(logs, "x", control="A")["metrics"]["scroll_depth"]["B"]
    assert (depth["control"], depth["value"]) == (2.0, 3.0)


def test_of_three_variants_each_is_corrected() -> None:
    shares = {(1, name): 1 / 3 for name in "ABC"}
    logs = logs_of(np.tile([0, 1, 2], 500), shares=shares, lift=(0.0, 0.5, 0.0))
    found = judge(logs, "x", control="A")["metrics"]["ctr"]
    assert set(found) == {"B", "C"}
    assert found["B"]["p_holm"] == pytest.approx(2 * found["B"]["p"])
    assert found["C"]["p_holm"] == pytest.approx(found["C"]["p"])
    assert found["B"]["relative"]["low"] < 0.5 < found["B"]["relative"]["high"]
    assert found["B"]["always_valid_p"] >= found["B"]["p"]
    drawn = judge(logs, "x", control="A", draws=200)["metrics"]["ctr"]["B"]
    assert drawn["resampled"]["value"] == pytest.approx(drawn["difference"]["value"])
    assert drawn["resampled"]["low"] == pytest.approx(drawn["difference"]["low"], abs=0.004)


def test_the_logs_are_those_that_are_written() -> None:
    assert set(EXPOSURES) <= {field.name for field in fields(Exposure)}
    assert set(EVENTS) <= set(Event.model_fields)
