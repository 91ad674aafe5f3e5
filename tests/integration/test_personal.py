"""A night's vectors are published, its tastes loaded, a search sorts by both, and what that is worth is measured."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from es_ranking.engine.contract import Engine
from es_ranking.publish.generation import serving_meta
from es_ranking.query import recommended
from es_ranking.schema import VECTOR
from es_ranking.tastes.connect import connect_tastes
from es_ranking.tastes.vectors import from_text
from es_ranking.twiddlers.personal import PersonalSettings
from es_ranking.twiddlers.settings import Surface
from segments.catalogue import ALL
from segments.errors import Refused
from spark_jobs import load_tastes, personal_worth
from spark_jobs.nightly import run_night
from spark_jobs.taste_rows import clicks_of, published_vectors, tastes_of
from tests.integration.nights import SECOND, Published

OWN = Surface.of({"name": "own", "twiddlers": [{"kind": "personal", "least": 3, "depth": 50}]})


def test_from_the_night_to_a_page_of_ones_own(
    published_night: Published, engine: Engine, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    night, alias = published_night.night, f"{published_night.alias}-products"
    meta = serving_meta(engine, alias)
    ids, vectors = published_vectors(night, "product")
    assert meta.space.startswith("product-")
    assert not serving_meta(engine, f"{published_night.alias}-banners").space
    documents = engine.mget(meta.generation, ids.to_pylist(), source=[VECTOR])
    for document, vector in zip(documents, vectors, strict=True):
        assert document is None or np.array_equal(from_text(document[VECTOR]), vector)
    assert sum(document is not None for document in documents) == meta.documents

    figures = load_tastes.run(night)["product"]
    tastes = tastes_of(clicks_of(night, ids, "product"), vectors)
    assert figures == {"users": len(tastes), "clicks": sum(t.count for t in tastes.values()), "space": meta.space}
    store = connect_tastes()
    assert store is not None
    user = max(tastes, key=lambda name: tastes[name].count)
    everyone = sum(taste.total.astype(np.float64) for taste in tastes.values()) / figures["clicks"]
    kept = store.taste(meta.space, user, night.as_of, segment=ALL)
    assert kept is not None
    assert kept.count == tastes[user].count >= 3
    assert kept.total == pytest.approx(tastes[user].total - kept.count * everyone, abs=1e-3)

    asked = {"user": user, "at": night.as_of + timedelta(hours=1), "surface": OWN, "tastes": store}
    page = recommended(engine, alias, {"size": 50}, explain=True, **asked)
    plain = recommended(engine, alias, {"size": 50}, twiddlers=[], **asked)
    assert page.flags == ()
    assert page.items != plain.items
    assert sorted(page.items) == sorted(plain.items), "the top is sorted again, nothing more"
    assert {move.stage for hit in page.hits for move in hit.moves} == {"personal"}


def test_its_worth_by_amount_of_history(published_night: Published) -> None:
    night = published_night.night
    run_night(night, ["outcomes"])
    report = personal_worth.run(night, PersonalSettings())
    nothing, *amounts = report["amounts"]
    assert [amount["clicks"] for amount in report["amounts"]] == ["0", "1-4", "5-19", "20-99", "100+"]
    assert nothing["mean_clicks"] == nothing["milliseconds"] == 0.0
    for name in ("ndcg@20", "recall@20", "gauc"):
        told = nothing[name]
        assert (told["difference"], told["low"], told["high"]) == (0.0, 0.0, 0.0), "without clicks nothing moves"
    some = amounts[0]
    assert 1.0 <= some["mean_clicks"] <= 4.0
    assert 0 < some["people"] <= nothing["people"]
    assert some["ndcg@20"]["low"] <= some["ndcg@20"]["difference"] <= some["ndcg@20"]["high"]
    assert some["milliseconds"] > 0.0
    assert some["ndcg@20"]["personal"] == pytest.approx(
        some["ndcg@20"]["segment"] + some["ndcg@20"]["difference"], abs=1e-9
    )


def test_a_run_without_vectors_says_which_step_makes_them(published_night: Published) -> None:
    with pytest.raises(Refused, match="--step embed"):
        published_vectors(published_night.at(SECOND + timedelta(days=9)), "product")
