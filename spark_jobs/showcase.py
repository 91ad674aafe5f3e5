"""After publishing: asks the real engine for the pages that show what changed, and keeps them for the report."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from es_ranking.actions.connect import connect_actions
from es_ranking.actions.contract import Action
from es_ranking.engine.connect import connect
from es_ranking.query.recommended import recommended
from es_ranking.twiddlers.settings import load_surface
from segments.catalogue import Catalogue
from segments.whole import write_whole
from spark_jobs.history import clock
from spark_jobs.reporting.contrasts import Contrast, most_different

if TYPE_CHECKING:
    from es_ranking.engine.contract import Engine
    from spark_jobs.night import Night

SHOWN = 10
PATIENCE = 10.0  # seconds for Redis: on a busy machine a page that lost its downrank would show nothing
_FIELDS = ["item_id", "title", "brand_id", "price"]
Rows = list[dict[str, Any]]


def run(night: Night) -> dict[str, object]:
    """Writes `showcase.json`: one list as three segments see it, one user's page with its moves, the banners."""
    engine = connect(opaque_id=f"es-ranking-showcase-{night.run}")
    contrast = _contrast(night)
    shown = {
        "lists": _lists(night, engine, contrast),
        "page": _page(night, engine, contrast),
        "banners": _banners(night, engine, contrast),
    }
    path = night.folder("report") / "showcase.json"
    write_whole(path, json.dumps(shown, ensure_ascii=False, indent=1, default=str))
    return {"showcase": str(path), "list": contrast.list, "segments": list(contrast.segments)}


def _contrast(night: Night) -> Contrast:
    """The list, among the twenty with most clicks, that three segments order most differently."""
    tables, variant = night.warehouse, night.recipe.default_variant
    features = tables.read("item_features", night.run).where(F.col("item_kind") == "product")
    clicks = (
        tables.read("exposure_counts", night.run)
        .join(features.select("item_id", "list"), "item_id")
        .groupBy("list")
        .agg(F.sum("clicks").alias("clicks"), F.countDistinct("item_id").alias("items"))
        .where(F.col("items") >= 3 * SHOWN)
        .orderBy(F.desc("clicks"), "list")
        .limit(20)
    )
    first = (
        tables.read("ranks", night.run)
        .where((F.col("item_kind") == "product") & (F.col("variant") == variant) & (F.col("rank") <= SHOWN))
        .join(F.broadcast(clicks), "list", "left_semi")
        .select("list", "segment", "item_id")
        .collect()
    )
    tops: dict[str, dict[str, set[str]]] = {}
    for row in first:
        tops.setdefault(row["list"], {}).setdefault(row["segment"], set()).add(row["item_id"])
    # Groups of many people, not the odd corner: the largest segments of the variant's own family.
    catalogue = Catalogue.load(night.folder("segments") / "catalogue.json")
    known = [segment for segment in catalogue.segments_of(variant) if segment.id != "all"]
    large = sorted(known, key=lambda segment: (-segment.users, segment.id))[:12]
    return most_different(tops, [segment.id for segment in large])


def _lists(night: Night, engine: Engine, contrast: Contrast) -> dict[str, Any]:
    catalogue = Catalogue.load(night.folder("segments") / "catalogue.json")
    columns = {"by sales": _ask(night, engine, contrast.list, segment="all", variant=_sales(night))}
    for name in contrast.segments:
        label = catalogue.segment(name).label or name
        columns[label] = _ask(night, engine, contrast.list, segment=name, variant=night.recipe.default_variant)
    return {"list": contrast.list, "variant": night.recipe.default_variant, "columns": columns}


def _page(night: Night, engine: Engine, contrast: Contrast) -> dict[str, Any]:
    """The page of one user who lately bought from the list, before and after downrank and interval."""
    user, actions = _customer(night, contrast.list)
    store = connect_actions(timeout_seconds=PATIENCE)
    if store is not None:
        store.forget(user)
        store.record(actions)
    asked: dict[str, Any] = {"user": user, "variant": night.recipe.default_variant, "at": night.as_of}
    body = _body(contrast.list)
    index = night.recipe.shelves["product"].index
    surface = load_surface("category")
    before = recommended(engine, index, body, surface=surface, twiddlers=(), **asked)
    after = recommended(engine, index, body, surface=surface, actions=store, explain=True, **asked)
    return {
        "user": user,
        "list": contrast.list,
        "segment": after.segment,
        "certificate": after.certificate,
        "way": after.way,
        "flags": list(after.flags),
        "before": [_row(hit.place, hit.source) for hit in before.hits],
        "after": [
            {**_row(hit.place, hit.source), "moves": [move.to_dict() for move in hit.moves]} for hit in after.hits
        ],
    }


def _banners(night: Night, engine: Engine, contrast: Contrast) -> dict[str, Any]:
    if "banner" not in night.recipe.shelves:
        return {}
    index, columns = night.recipe.shelves["banner"].index, {}
    for name, variant, segment in [
        ("by clicks so far", _sales(night), "all"),
        *((name, night.recipe.default_variant, name) for name in contrast.segments),
    ]:
        page = recommended(engine, index, {"query": {"match_all": {}}, "size": SHOWN, "_source": _FIELDS},
                           segment=segment, variant=variant)  # fmt: skip
        columns[name] = [_row(hit.place, hit.source) for hit in page.hits]
    return {"columns": columns}


def _ask(night: Night, engine: Engine, list_name: str, *, segment: str, variant: str) -> Rows:
    index = night.recipe.shelves["product"].index
    page = recommended(engine, index, _body(list_name), segment=segment, variant=variant)
    return [_row(hit.place, hit.source) for hit in page.hits]


def _body(list_name: str) -> dict[str, Any]:
    return {"query": {"term": {"list": list_name}}, "size": SHOWN, "_source": _FIELDS}


def _row(place: int, source: dict[str, Any]) -> dict[str, Any]:
    return {"place": place, **{name: source.get(name) for name in _FIELDS}}


def _sales(night: Night) -> str:
    """The variant that stands for the logic of before."""
    variants = night.recipe.variants
    return next((name for name, variant in variants.items() if variant.scorer == "sales"), night.recipe.default_variant)


def _customer(night: Night, list_name: str) -> tuple[str, list[Action]]:
    """Who lately bought most of what stands first in the list, or else of the list; and his purchases from it."""
    tables = night.warehouse
    ranks = tables.read("ranks", night.run).where((F.col("item_kind") == "product") & (F.col("list") == list_name))
    served = ranks.where((F.col("variant") == night.recipe.default_variant) & (F.col("rank") <= SHOWN))
    first = served.select("item_id").distinct().withColumn("first", F.lit(1))
    items = tables.read("item_features", night.run).where(F.col("list") == list_name).select("item_id")
    recent = tables.read("events", night.run).where(
        (F.col("kind") == "purchase") & (F.col("ts") >= clock(night.as_of - timedelta(days=28)))
    )
    bought = recent.join(F.broadcast(items), "item_id", "left_semi")
    best = (
        bought.join(F.broadcast(first), "item_id", "left")
        .groupBy("user_id")
        .agg(
            F.countDistinct(F.when(F.col("first").isNotNull(), F.col("item_id"))).alias("first"),
            F.countDistinct("item_id").alias("items"),
        )
        .orderBy(F.desc("first"), F.desc("items"), "user_id")
        .first()
    )
    if best is None:
        return "", []
    rows = bought.where(F.col("user_id") == best["user_id"]).select(
        "item_id", "event_id", F.unix_micros("ts").alias("micros")
    )
    epoch = night.as_of.fromtimestamp(0, tz=night.as_of.tzinfo)
    return best["user_id"], [
        Action(best["user_id"], row["item_id"], "purchase", epoch + timedelta(microseconds=row["micros"]),
               row["event_id"])
        for row in rows.collect()
    ]  # fmt: skip


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("showcase", run)


if __name__ == "__main__":
    main()
