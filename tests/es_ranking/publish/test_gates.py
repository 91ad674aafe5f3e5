"""Each gate lets an honest night pass and refuses the one night it is there for; the old ranks serve on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from es_ranking.engine.contract import Engine
from es_ranking.publish.gates import GATES, Gateway, Verdict, lures
from es_ranking.publish.locally import publish
from es_ranking.publish.settings import GateSettings
from segments.errors import Refused
from tests.es_ranking.publish.shop import ITEMS, SETTINGS, documents, plan_for, users

NIGHT_1, NIGHT_2 = "20171127T000000", "20171128T000000"
STRICT = GateSettings(min_overlap=0.8, overlap_top=5, max_unseen=0.2)
Night = Iterator[tuple[str, Mapping[str, Any]]]


def changed(change: Callable[[int, dict[str, Any]], None]) -> Night:
    for number, (_, document) in enumerate(documents()):
        copy = {**document, "rank": {v: dict(s) for v, s in document["rank"].items()}}
        change(number, copy)
        yield copy["item_id"], copy


def half_without_ranks(number: int, document: dict[str, Any]) -> None:
    if number % 2:
        del document["rank"]["B"]["d_old"]


def one_zero(number: int, document: dict[str, Any]) -> None:
    if number == 3:
        document["rank"]["B"]["all"] = 0.0


def all_the_same(number: int, document: dict[str, Any]) -> None:
    document["rank"]["B"]["d_young"] = 0.25


def upside_down(number: int, document: dict[str, Any]) -> None:
    for segments in document["rank"].values():
        for segment in segments:
            segments[segment] = 1.0 / (ITEMS - number) if segment != "d_old" else 1.0 / (1 + number)


def other_ids(number: int, document: dict[str, Any]) -> None:
    if number >= ITEMS // 2:
        document["item_id"] = f"new-{number}"


def run_night(engine: Engine, alias: str, run: str, night: Night, **figures: float) -> None:
    settings = SETTINGS.model_copy(update={"gates": STRICT})
    plan = plan_for(engine, alias, run, settings=settings)
    publish(engine, plan, documents=night, users=users(), settings=settings, figures=figures)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (half_without_ranks, r"coverage: 50\.0% of 40 available documents have rank\.B\.d_old"),
        (one_zero, r"positive: the lowest score is 0 in rank\.B\.all"),
        (all_the_same, r"spread: rank\.B\.d_young has 1 different scores"),
        (upside_down, r"overlap: 0\.0% of the serving top 5"),
        (other_ids, r"unseen: 50\.0% of the ids are new"),
    ],
)
def test_a_gate_refuses(
    engine: Engine, index_name: str, change: Callable[[int, dict[str, Any]], None], says: str
) -> None:
    run_night(engine, index_name, NIGHT_1, documents())
    before = engine.get_alias(index_name)
    with pytest.raises(Refused, match=says) as refused:
        run_night(engine, index_name, NIGHT_2, changed(change))
    assert refused.value.exit_code == 3
    assert engine.get_alias(index_name) == before
    assert len(engine.indices(f"{index_name}*")) == 3


def test_an_honest_night_passes_every_gate(engine: Engine, index_name: str) -> None:
    right = {"calibration": 1.01, "ece": 0.05, "segments_off": 0.0}
    run_night(engine, index_name, NIGHT_1, documents(), **right)
    run_night(engine, index_name, NIGHT_2, documents(turn=1), **right)
    assert engine.get_alias(index_name) == [f"{index_name}-{NIGHT_2.lower()}-1"]


@pytest.mark.parametrize(
    ("figures", "says"),
    [
        ({"calibration": 10.0}, r"calibration: predicted over observed is 10\.000"),
        ({"calibration": 1.0, "ece": 0.8}, r"ece: probabilities miss by 0\.800"),
        ({"calibration": 1.0, "segments_off": 0.75}, r"segments: 75\.0% of the segments are off"),
    ],
)
def test_a_model_whose_probabilities_are_wrong_is_refused(
    engine: Engine, index_name: str, figures: dict[str, float], says: str
) -> None:
    with pytest.raises(Refused, match=says):
        run_night(engine, index_name, NIGHT_1, documents(), **figures)


@pytest.mark.parametrize(
    ("now", "before", "items", "passes"),
    [
        (0.02, 0.011, 10_000, True), (0.02, 0.009, 10_000, False), (0.009, 0.02, 10_000, False),
        (0.004, 0.0, 10_000, True), (0.02, None, 10_000, True), (0.02, 0.009, 240, True),
    ],
)  # fmt: skip
def test_the_lure_filter_must_not_drift(now: float, before: float | None, items: int, *, passes: bool) -> None:
    figures = {"lure_share": now, "lure_decisions_read": 1.0}
    figures |= {} if before is None else {"lure_share_before": before}
    plan: Any = SimpleNamespace(documents=items)

    def verdict(settings: GateSettings, **more: float) -> Verdict:
        return lures(Gateway(None, plan, settings, figures | more))  # type: ignore[arg-type]

    assert verdict(GateSettings()).passed is passes
    off = GateSettings(max_lure_ratio=None)
    assert verdict(off).passed
    unread = verdict(off, lure_decisions_read=0.0)
    assert not unread.passed
    assert "what operators have decided" in unread.says


def test_gates_can_be_switched_off(engine: Engine, index_name: str) -> None:
    off = GateSettings(min_coverage=None, min_distinct_scores=None, min_overlap=None, max_unseen=None)
    settings = SETTINGS.model_copy(update={"gates": off})
    plan = plan_for(engine, index_name, NIGHT_1, settings=settings)
    finished = publish(engine, plan, documents=changed(all_the_same), users=users(), settings=settings)
    assert [verdict.gate for verdict in finished.verdicts] == list(GATES)
