"""Last step: one self-contained HTML page of what changed, how good it is, and how long it took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segments.errors import Refused
from spark_jobs.reporting.page import Section, Table, write_page
from spark_jobs.reporting.pictures import bars, curves, lifts

if TYPE_CHECKING:
    from spark_jobs.night import Night

METRICS = ("gauc", "auc", "hit_ratio@20", "recall@20", "ndcg@20", "coverage", "entropy")
Json = dict[str, Any]


def run(night: Night) -> dict[str, object]:
    """Writes `report/report.html` of the run, from what the other steps left; parts that did not run are left out."""
    steps = _steps(night)
    sections = [
        *_shown(night),
        *_evaluation(night),
        *_segments(night),
        *_training(steps),
        Section(
            "Where the time went",
            tables=[Table([{"step": name, "seconds": figures["seconds"], "peak memory, MB": figures["peak_memory_mb"]}
                           for name, figures in steps.items()])],
            pictures=[bars({name: figures["seconds"] for name, figures in steps.items()}, title="Seconds by step",
                           unit="seconds")],
        ),
    ]  # fmt: skip
    path = write_page(
        night.folder("report") / "report.html",
        title=f"Recommended: {night.recipe.name}, {night.as_of:%Y-%m-%d}",
        lead=f"Run {night.run}. Everything here was read from the real engine or measured on held-out visits.",
        sections=sections,
    )
    return {"report": str(path), "sections": len(sections)}


def _shown(night: Night) -> list[Section]:
    shown = _json(night.work / night.run / "report" / "showcase.json")
    if shown is None:
        return []
    lists, page, banners = shown["lists"], shown["page"], shown["banners"]
    sections = [
        Section(
            "One list, different people",
            f"The list {lists['list']} by sales, the logic of before, and by recommended ({lists['variant']}) for "
            "three segments.",
            tables=[_side_by_side(lists["columns"])],
        ),
        Section(
            "One page, before and after",
            f"User {page['user']} (segment {page['segment']}) lately bought from this list. Downrank lowers what was "
            f"bought, interval keeps brands apart; {'; '.join(['gaps: ' + page['certificate'], *page['flags']])}.",
            tables=[
                _side_by_side({"recommended": page["before"], "with downrank and interval": page["after"]}),
                Table(
                    [
                        {"place": row["place"], "item": row["title"], "stage": move["stage"],
                         "from": move["from"], "to": move["to"], "why": move["reason"]}
                        for row in page["after"] for move in row["moves"]
                    ],
                    "Every move on this page, with its reason",
                ),
            ],
        ),
    ]  # fmt: skip
    if banners:
        sections.append(Section("Banners", "Campaigns for the same segments.", [_side_by_side(banners["columns"])]))
    return sections


def _side_by_side(columns: Json) -> Table:
    length = max((len(rows) for rows in columns.values()), default=0)
    return Table(
        [
            {"place": place + 1, **{name: _told(rows, place) for name, rows in columns.items()}}
            for place in range(length)
        ]
    )


def _told(rows: list[Json], place: int) -> str:
    if place >= len(rows):
        return ""
    row = rows[place]
    return f"{row['title']} · {row['item_id']}"


def _evaluation(night: Night) -> list[Section]:
    report = _json(night.work / night.run / "evaluation" / "metrics.json")
    sections = []
    for kind, judged in (report or {"kinds": {}})["kinds"].items():
        if not judged["metrics"]:
            continue
        text = (
            f"{judged['visits']:,} visits of {judged['users']:,} users after the clock, {judged['impressions']:,} "
            f"impressions, {judged['clicks']:,} clicks. Positions neutral; intervals are 95 %, by paired bootstrap "
            "over users."
        )
        rows = [
            {"variant": name, **{metric: values.get(metric) for metric in METRICS},
             "gAUC interval": _range(values["intervals"].get("gauc"))}
            for name, values in judged["metrics"].items()
        ]  # fmt: skip
        over_a = [
            (name, *values["differences"]["A"]["gauc"])
            for name, values in judged["metrics"].items()
            if "A" in values["differences"]
        ]
        pictures = [lifts(over_a, title="Difference to A, sorting by sales", unit="gAUC")] if over_a else []
        over_b0 = [
            (f"{name} − B0", *values["differences"]["B0"]["gauc"])
            for name, values in judged["metrics"].items()
            if name.startswith("B") and "B0" in values["differences"]
        ]
        if over_b0:
            pictures.append(lifts(over_b0, title="What segments add to the model", unit="gAUC"))
        sections.append(Section(f"Evaluation: {kind}s", text, [Table(rows)], pictures))
    return sections


def _segments(night: Night) -> list[Section]:
    folder = night.work / night.run / "segments"
    catalogue = _json(folder / "catalogue.json")
    if catalogue is None:
        return []
    rows = [
        {"segment": segment["id"], "family": segment["family"], "users": segment["users"], "who": segment["label"]}
        for segment in sorted(catalogue["segments"], key=lambda segment: -segment["users"])[:40]
    ]
    pictures = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.svg"))]
    text = f"{len(catalogue['segments'])} segments; the largest forty are listed."
    return [Section("Segments", text, [Table(rows)], pictures)]


def _training(steps: dict[str, Json]) -> list[Section]:
    pictures, rows = [], []
    for kind, figures in steps.get("train", {}).items():
        if not isinstance(figures, dict) or not figures.get("curve"):
            continue
        history = [
            {"epoch": point["epoch"], "train_loss": point["train_loss"], "valid_gauc": point["gauc"]}
            for point in figures["curve"]
            if point.get("gauc") is not None
        ]
        if history:
            pictures.append(curves(history, title=f"Training: {kind}s"))
        rows.append({"model": kind, **{key: value for key, value in figures.items() if isinstance(value, int | float)}})
    return [Section("Training", tables=[Table(rows)], pictures=pictures)] if rows else []


def _steps(night: Night) -> dict[str, Json]:
    files = sorted((night.work / night.run / "steps").glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise Refused("no step has run yet", where=str(night.work / night.run), hint="es-ranking nightly run")
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files if path.stem != "report"}


def _json(path: Path) -> Json | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _range(interval: list[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.4f} … {interval[1]:.4f}"


def main() -> None:
    """`spark-submit` this file for the step alone."""
    from spark_jobs.night import submit

    submit("report", run)


if __name__ == "__main__":
    main()
