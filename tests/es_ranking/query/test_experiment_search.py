"""Searches obey live experiments: new ratios within seconds, killed at once, and no trouble of theirs is a search's."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from es_ranking.engine.contract import BulkAction, Engine
from es_ranking.experiments.document import Experiments
from es_ranking.experiments.edit import forcing, killed, with_ratios
from es_ranking.experiments.live import GivenExperiments, LiveExperiments
from es_ranking.experiments.store import ExperimentStore
from es_ranking.query import recommended
from es_ranking.query.exposures import EngineExposureLog, JsonLinesExposureLog
from es_ranking.query.page import Page
from es_ranking.twiddlers.settings import Surface
from segments.errors import EngineUnreachable
from tests.es_ranking.query.shop import NOON, open_shop

KEY = b"a key of sixteen bytes or more"
USERS = [f"u{n}" for n in range(30)]
HALF = with_ratios(Experiments(), "ranking", {"A": 0.5, "B1": 0.5})


def test_a_new_ratio_and_the_kill_switch_hold_within_seconds(engine: Engine, index_name: str) -> None:
    open_shop(engine, index_name, n=10)
    store = ExperimentStore(engine, index_name)
    now = [0.0]
    live = LiveExperiments(engine, clock=lambda: now[0], timeout_seconds=None)

    def served(**options: Any) -> list[Page]:
        return [recommended(engine, index_name, {"size": 2}, user=user, experiments=live, **options) for user in USERS]

    assert {(page.variant, page.experiment, page.flags) for page in served()} == {("B", None, ())}, "none was put"
    store.put(store.next(HALF, by="ann", at=NOON))
    now[0] += 2.1
    split = Counter(page.variant for page in served())
    assert set(split) == {"A", "B1"}
    assert {page.variant for page in served(variant="B")} == {"B"}, "what a caller asks for wins"
    store.put(store.next(with_ratios(HALF, "ranking", {"A": 0.9, "B1": 0.1}), by="ann", at=NOON))
    now[0] += 2.1
    fewer = served()
    assert Counter(page.variant for page in fewer)["B1"] < split["B1"]
    store.put(store.next(killed(HALF, "ranking"), by="ann", at=NOON))
    now[0] += 2.1
    assert {(page.variant, page.experiment) for page in served()} == {("A", None)}


def test_no_trouble_of_an_experiment_is_a_search_s(engine: Engine, index_name: str) -> None:
    open_shop(engine, index_name, n=10)
    gone = with_ratios(Experiments(), "ranking", {"A": 0.0, "B9": 1.0})
    page = recommended(engine, index_name, {}, user="ann", experiments=GivenExperiments(gone))
    assert (page.variant, page.experiment, page.flags) == ("B", None, ("variant_missing",))
    store = ExperimentStore(engine, index_name)
    store.put(store.next(HALF, by="ann", at=NOON))
    broken = [{"version": 2, "experiments": {"experiments": [{"name": "x", "owners": ["A"]}]}}]
    assert not engine.bulk([BulkAction(store.index, "2", one) for one in broken], refresh=True).errors
    page = recommended(engine, index_name, {}, user="ann", experiments=LiveExperiments(engine, timeout_seconds=None))
    assert (page.experiment, page.flags) == ("ranking", ("experiments_broken",))

    class Down(LiveExperiments):
        def _latest(self, alias: str) -> Any:
            raise EngineUnreachable("cut off")

    page = recommended(engine, index_name, {}, user="ann", experiments=Down(engine))
    assert (page.variant, page.experiment, page.flags) == ("B", None, ("experiments_unavailable",))


def test_what_is_shown_says_which_experiment_showed_it(engine: Engine, index_name: str, tmp_path: Path) -> None:
    """All pages of a list: the later ones keep to the variant, and say so, whatever has changed meanwhile."""
    open_shop(engine, index_name, n=20)
    changed = with_ratios(forcing(HALF, "ranking", {"boss": "A"}), "ranking", {"A": 0.25, "B1": 0.75})
    log = JsonLinesExposureLog(tmp_path / "shown.jsonl")
    stored = EngineExposureLog(engine, f"{index_name}-exposures")
    engine.create_index(stored.index, {"mappings": {"dynamic": "strict", "properties": {"ts": {"type": "date"}}}})
    for user in ("boss", *USERS[:4]):
        asked: dict[str, Any] = {"user": user, "key": KEY, "now": NOON}
        first = recommended(
            engine, index_name, {"size": 5}, exposures=stored, experiments=GivenExperiments(changed), **asked
        )
        assert first.flags == (), "an index of exposures that lacks the new fields gets them"
        for given in (changed, HALF):
            page = recommended(
                engine, index_name, {"size": 5}, exposures=log, cursor=first.cursor,
                experiments=GivenExperiments(given), **asked,
            )  # fmt: skip
            assert (page.variant, page.experiment) == (first.variant, "ranking")
    rows = [json.loads(line) for line in log.path.read_text().splitlines()]
    told = {(row["user_id"] == "boss", row["experiment"], row["epoch"], row["share"], row["forced"]) for row in rows}
    assert told <= {(True, "ranking", 2, 0.0, True), (False, "ranking", 2, 0.25, False), (False, "ranking", 2, 0.75,
                                                                                        False)}  # fmt: skip
    assert {row["share"] for row in rows} == {0.0, 0.25, 0.75} or len(told) >= 2
    killed_off = recommended(
        engine, index_name, {"size": 3}, user="u1", exposures=JsonLinesExposureLog(tmp_path / "off.jsonl"),
        experiments=GivenExperiments(killed(HALF, "ranking")), surface=Surface(name="x", variant="B"),
    )  # fmt: skip
    assert killed_off.variant == "A"
    off = [json.loads(line) for line in (tmp_path / "off.jsonl").read_text().splitlines()]
    assert {(row["experiment"], row["epoch"], row["share"]) for row in off} == {(None, None, None)}


def test_requests_are_cut_by_the_request_s_id(engine: Engine, index_name: str) -> None:
    open_shop(engine, index_name, n=5)
    given = GivenExperiments(with_ratios(Experiments(), "r", {"A": 0.5, "B": 0.5}, unit="request"))
    got = {
        name: recommended(engine, index_name, {"size": 1}, user="ann", request_id=name, experiments=given).variant
        for name in USERS
    }
    assert set(got.values()) == {"A", "B"}
    again = recommended(engine, index_name, {"size": 1}, user="bob", request_id="u3", experiments=given)
    assert again.variant == got["u3"]
