"""A small shop to publish: two variants, three segments, scores whose order is known by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from es_ranking.engine.connect import connect
from es_ranking.engine.contract import Engine
from es_ranking.publish.documents import main_document, user_document, why_document
from es_ranking.publish.finish import Finished
from es_ranking.publish.locally import publish
from es_ranking.publish.plan import PublishPlan, plan_publish
from es_ranking.publish.settings import GateSettings, PublishSettings
from segments.catalogue import Catalogue, Segment, everyone

NIGHT = "20171127T000000"
ITEMS = 40
OPEN_GATES = GateSettings(min_overlap=None, max_unseen=None)
SETTINGS = PublishSettings(batch_documents=7, backoff_seconds=0.0, gates=OPEN_GATES, min_disk_free_share=0.0)

CATALOGUE = Catalogue(
    families=("demographic", "all"),
    segments=(
        everyone(3),
        Segment(id="d_young", family="demographic", values={"demographic": "d_young"}),
        Segment(id="d_old", family="demographic", values={"demographic": "d_old"}),
    ),
    variants={"A": ("all",), "B": ("demographic", "all")},
)


class Publisher(Protocol):
    """Publishes a night of the shop under a test's own name."""

    def __call__(self, run: str, *, turn: int = 0, settings: PublishSettings = SETTINGS) -> Finished: ...


def item(number: int) -> dict[str, Any]:
    return {
        "item_id": f"i{number:03d}",
        "kind": "product",
        "title": f"Item {number}",
        "brand_id": f"b{number % 4}",
        "category": ["FOOD", f"C{number % 3}"],
        "price": 1.0 + number,
        "available": True,
        "attributes": {"colour": "red" if number % 2 else "blue"},
    }


def ranks(number: int, *, turn: int = 0, items: int = ITEMS) -> dict[str, dict[str, float]]:
    """Item 0 is first for everyone, the last item for `d_old`; `turn` rotates the orders (another night)."""
    place = (number + turn) % items
    up, down = 1.0 / (1 + place), 1.0 / (items - place)
    return {"A": {"all": up}, "B": {"all": up, "d_young": up, "d_old": down}}


def documents(*, turn: int = 0, items: int = ITEMS) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number in range(items):
        yield (
            item(number)["item_id"],
            main_document(item(number), ranks(number, turn=turn, items=items), list_name="FOOD"),
        )


def reasons() -> Iterator[tuple[str, Mapping[str, Any]]]:
    row = {"variant": "B", "segment": "all", "score": 0.5, "draw": 0.6, "propensity": 1.0, "lure_probability": 0.0,
           "moves": [], "final": 0.6, "rank": 1, "list": "FOOD"}  # fmt: skip
    found = why_document([row], places=200)
    assert found is not None
    yield "i000", found


def users() -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "u1", user_document({"demographic": "d_young"})
    yield "u2", user_document({})


def plan_for(engine: Engine, alias: str, run: str, **changed: Any) -> PublishPlan:
    values: dict[str, Any] = {
        "run": run,
        "as_of": "2017-11-27T00:00:00+00:00",
        "catalogue": CATALOGUE,
        "default_variant": "B",
        "documents": ITEMS,
        "users": 2,
        "settings": SETTINGS,
        **changed,
    }
    return plan_publish(engine, alias, **values)


def top(engine: Engine, alias: str, field: str, size: int = 3) -> list[str]:
    body = {"size": size, "sort": [{field: "desc"}, {"item_id": "asc"}]}
    return [hit["_id"] for hit in engine.search(alias, body)["hits"]["hits"]]


def publish_night(
    engine: Engine, alias: str, run: str, *, turn: int = 0, settings: PublishSettings = SETTINGS
) -> Finished:
    plan = plan_for(engine, alias, run, settings=settings)
    return publish(engine, plan, documents=documents(turn=turn), reasons=reasons(), users=users(), settings=settings)


def publish_at(url: str, alias: str, run: str, turn: int) -> None:
    """A whole publisher: what a process of its own runs."""
    publish_night(connect(url), alias, run, turn=turn)
