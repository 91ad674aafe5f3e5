"""From rows to documents, compared whole."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import numpy as np
import pytest

from es_ranking.publish.documents import main_document, user_document, why_document
from es_ranking.tastes.vectors import from_text
from segments.errors import ContractBroken

ROW = {
    "item_id": "i1",
    "kind": "product",
    "title": "Soup",
    "text": None,
    "brand_id": "b7",
    "category": ["FOOD", "SOUP"],
    "price": 2.5,
    "created_at": datetime(2017, 1, 2),
    "available": np.bool_(True),
    "store_id": None,
    "attributes": {"colour": "red", "size": None},
    "vector": [0.1, 0.2],
}


def test_an_item_whole() -> None:
    document = main_document(
        ROW, {"A": {"all": np.float64(0.25)}}, list_name="FOOD>SOUP", keyword_attributes=["colour"]
    )
    assert document == {
        "item_id": "i1",
        "kind": "product",
        "title": "Soup",
        "brand_id": "b7",
        "category": ["FOOD", "FOOD>SOUP"],
        "list": "FOOD>SOUP",
        "price": 2.5,
        "created_at": "2017-01-02T00:00:00+00:00",
        "available": True,
        "attributes": {"colour": "red"},
        "colour": "red",
        "rank": {"A": {"all": 0.25}},
    }
    json.dumps(document)


def test_the_vector_of_the_personal_resort_and_no_other() -> None:
    assert "vector" not in main_document(ROW, {}), "the source's own vector is not published"
    packed = np.array([1.0, -2.5], dtype="<f2").tobytes()
    document = json.loads(json.dumps(main_document({**ROW, "packed": packed}, {})))
    assert from_text(document["vector"]).tolist() == [1.0, -2.5]


def test_a_score_survives_to_the_last_bit() -> None:
    score = 0.1 + 0.2
    document = json.loads(json.dumps(main_document(ROW, {"A": {"all": score}})))
    assert document["rank"]["A"]["all"] == score


@pytest.mark.parametrize("score", [0.0, -1.0, math.nan, math.inf])
def test_a_score_that_cannot_order_is_refused_by_name(score: float) -> None:
    with pytest.raises(ContractBroken, match="item i1 has the score") as broken:
        main_document(ROW, {"A": {"all": score}})
    assert broken.value.where == "rank.A.all"


def test_a_row_without_an_id() -> None:
    with pytest.raises(ContractBroken, match="without item_id"):
        main_document({**ROW, "item_id": None}, {})


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("price", math.nan, None),
        ("category", None, None),
        ("category", [], None),
        ("category", "FOOD", ["FOOD"]),
        ("created_at", np.datetime64("NaT"), None),
        ("created_at", datetime(2017, 1, 2, 5, tzinfo=UTC), "2017-01-02T05:00:00+00:00"),
        ("created_at", "2017-01-02", "2017-01-02"),
        ("attributes", None, None),
    ],
)
def test_odd_values(column: str, value: object, expected: object) -> None:
    assert main_document({**ROW, column: value}, {}).get(column) == expected


def reason(variant: str, segment: str, rank: int) -> dict[str, object]:
    return {
        "variant": variant,
        "segment": segment,
        "rank": rank,
        "score": 0.5,
        "moves": np.array(["lure"]),
        "item_id": "i1",
    }


def test_reasons_are_kept_for_the_first_places_only() -> None:
    rows = [reason("B", "all", 200), reason("B", "d_old", 201), reason("A", "all", 1)]
    kept = {"score": 0.5, "moves": ["lure"]}
    assert why_document(rows, places=200) == {
        "ranks": {"B": {"all": {**kept, "rank": 200}}, "A": {"all": {**kept, "rank": 1}}}
    }
    assert why_document(rows, places=0) is None


def test_a_user() -> None:
    assert user_document({"demographic": "d_old"}) == {"segments": {"demographic": "d_old"}}
