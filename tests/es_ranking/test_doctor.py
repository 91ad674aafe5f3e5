"""Every ill the doctor knows, given to a patient."""

from __future__ import annotations

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from es_ranking.doctor import CHECKS, Finding, Patient, examine
from es_ranking.engine.contract import Disk, Engine
from es_ranking.experiments.document import Experiments
from es_ranking.experiments.edit import with_ratios
from es_ranking.experiments.store import ExperimentStore
from es_ranking.policy.document import Policy
from es_ranking.policy.store import PolicyStore
from es_ranking.publish.begin import begin
from es_ranking.publish.generation import published_aliases, serving_meta
from es_ranking.publish.seal import mend
from segments.errors import RankingError
from tests.contracts.faulty_engine import FaultyEngine
from tests.es_ranking.publish.shop import NIGHT, SETTINGS, Publisher, plan_for

AS_OF = datetime(2017, 11, 27, tzinfo=UTC)


def findings_of(engine: Engine | None, *aliases: str, hours: float = 1.0) -> dict[str, Finding]:
    patient = Patient(engine, RankingError("it is away"), aliases, AS_OF + timedelta(hours=hours), max_age_hours=36.0)
    return {finding.check: finding for finding in examine(patient)}


@pytest.fixture
def shop(published: Publisher, index_name: str) -> str:
    published(NIGHT)
    return index_name


def test_a_healthy_one(engine: Engine, shop: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    found = findings_of(engine, shop)
    for check in ("versions", "java", "engine", "redis", f"alias {shop}", f"fields {shop}"):
        assert found[check].state == "ok", found[check]
    assert f"leftovers {shop}" not in found


def test_stale_ranks(engine: Engine, shop: str) -> None:
    stale = findings_of(engine, shop, hours=40.0)[f"alias {shop}"]
    assert stale.state == "error"
    assert "40.0 hours old" in stale.found


def test_leftovers_of_a_crash(engine: Engine, shop: str) -> None:
    half = begin(engine, plan_for(engine, shop, "20171128T000000"))
    found = findings_of(engine, shop)[f"leftovers {shop}"]
    assert found.state == "warning"
    assert half.main.removesuffix("-writing") in found.found


def test_a_tight_field_budget(engine: Engine, published: Publisher, index_name: str) -> None:
    published(NIGHT, settings=SETTINGS.model_copy(update={"field_limit": 22}))
    assert findings_of(engine, index_name)[f"fields {index_name}"].state == "warning"


def test_nothing_published(engine: Engine, index_name: str) -> None:
    assert findings_of(engine, index_name)[f"alias {index_name}"].state == "warning"


def test_a_policy_that_no_longer_fits(engine: Engine, shop: str) -> None:
    assert f"policy {shop}" not in findings_of(engine, shop), "nobody needs to have one"
    store = PolicyStore(engine, shop)
    rule = {"where": {"brand_id": ["acme"]}}
    store.put(store.next(Policy.of({"campaigns": [{"name": "one", "exclusions": [rule]}]}), by="ann", at=AS_OF))
    healthy = findings_of(engine, shop)[f"policy {shop}"]
    assert (healthy.state, healthy.found) == ("ok", "version 1 by ann, 1 campaigns")
    rule = {"where": {"colour": ["red"]}}
    store.put(store.next(Policy.of({"campaigns": [{"name": "one", "exclusions": [rule]}]}), by="ann", at=AS_OF))
    ill = findings_of(engine, shop)["policies"]
    assert ill.state == "error"
    assert "unknown field 'colour'" in ill.found


def test_an_experiment_of_a_variant_that_is_not_ranked(engine: Engine, shop: str) -> None:
    assert f"experiments {shop}" not in findings_of(engine, shop), "nobody needs to have one"
    store = ExperimentStore(engine, shop)
    variant = serving_meta(engine, shop).default_variant
    fits = with_ratios(Experiments(), "x", {variant: 1.0})
    store.put(store.next(fits, by="ann", at=AS_OF))
    healthy = findings_of(engine, shop)[f"experiments {shop}"]
    assert (healthy.state, healthy.found) == ("ok", "version 1 by ann, 1 experiments")
    store.put(store.next(with_ratios(fits, "x", {variant: 0.5, "B9": 0.5}), by="ann", at=AS_OF))
    ill = findings_of(engine, shop)[f"experiments {shop}"]
    assert ill.state == "error"
    assert "B9 of x" in ill.found


def test_a_serving_index_that_never_refreshes(engine: Engine, shop: str) -> None:
    engine.put_settings(shop, {"index.refresh_interval": "-1"})
    ill = findings_of(engine, shop)[f"settings {shop}"]
    assert (ill.state, ill.cure) == ("error", f"es-ranking doctor {shop} --mend")
    assert mend(engine, shop) == ["index.refresh_interval"]
    assert mend(engine, shop) == []
    assert f"settings {shop}" not in findings_of(engine, shop)


def test_a_serving_index_that_nobody_can_write(engine: Engine, shop: str) -> None:
    engine.close_to_writes(shop)
    assert findings_of(engine, shop)[f"settings {shop}"].state == "error"
    assert mend(engine, shop) == ["index.blocks.write"]
    assert f"settings {shop}" not in findings_of(engine, shop)


def test_rank_fields_that_are_not_those_of_the_catalogue(engine: Engine, shop: str) -> None:
    assert findings_of(engine, shop)[f"ranks {shop}"].state == "ok"
    fields = {"rank": {"properties": {"B": {"properties": {"d_lost": {"type": "double"}}}}},
              "recommended": {"type": "alias", "path": "rank.A.all"}}  # fmt: skip
    engine.put_mapping(shop, {"properties": fields})
    meta = serving_meta(engine, shop)
    known = {**meta.rank_fields, "A": ["all", "d_new"]}
    engine.put_mapping(shop, {"_meta": replace(meta, rank_fields=known).to_meta()})
    ill = findings_of(engine, shop)[f"ranks {shop}"]
    assert ill.state == "error"
    for part in ("no field rank.A.d_new", "rank.B.d_lost is of no known segment", "recommended is rank.A.all, not"):
        assert part in ill.found


def test_no_room_for_the_next_generation(engine: Engine, shop: str) -> None:
    assert findings_of(engine, shop)[f"room {shop}"].state == "ok"

    class Full(FaultyEngine):
        def disk(self) -> Disk:
            return Disk(free=1_000, total=100_000)

    assert findings_of(Full(engine), shop)[f"room {shop}"].state == "warning"  # type: ignore[arg-type]


def test_everything_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{probe.getsockname()[1]}/0")
    monkeypatch.setenv("ES_JAVA_HOME", "/nowhere")
    found = findings_of(None, "shop")
    assert {check: found[check].state for check in ("engine", "redis", "java")} == dict.fromkeys(
        ("engine", "redis", "java"), "error"
    )
    assert all(finding.cure for finding in found.values() if finding.state == "error")
    assert set(CHECKS) >= {"versions", "java", "engine", "redis", "scripts", "aliases"}


def test_what_is_published_is_found(engine: Engine, shop: str) -> None:
    assert shop in published_aliases(engine)
