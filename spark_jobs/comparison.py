"""Runs side by side: means and intervals over seeds, parameters, seconds, and which is best beyond chance."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from segments.errors import ContractBroken, UsageError
from spark_jobs.evaluation.bootstrap import Interval
from spark_jobs.evaluation.seeds import bootstrap_interval, difference_interval, mean_interval

METRICS = ("gauc", "auc", "hit_ratio@20", "recall@20", "ndcg@20", "mrr@20")
# Of the last days before the clock, which choose; of the loss the lowest is best.
BEFORE = ("gauc", "auc", "logloss")
How = Literal["t", "bootstrap"]
_SPREAD = {"t": mean_interval, "bootstrap": bootstrap_interval}


def compare(
    folders: Sequence[Path], *, variant: str | None = None, names: Mapping[str, str] | None = None, how: How = "t"
) -> dict[str, Any]:
    """One row a configuration: folders that differ by seed and name alone are one.

    Args:
        folders: each with `metrics.json` and `experiment.yaml`.
        variant: whose figures; not given: each run's default variant.
        names: folder name → name of the row; not given: the folder's.
        how: interval over seeds. With one seed it is the run's own, over people.

    Returns:
        `variant`, `interval`, `metrics` and `rows`: `name`, `seeds`, by metric `value`, `low`, `high`, `best` (higher
        than every other row's by more than chance), `before` (of the days that choose, where they have clicks),
        `parameters`, `seconds`, `folders`.

    Raises:
        UsageError: a folder without a finished run, or a variant that a run has not.
        ContractBroken: a file that cannot be read; runs of different shops, clocks or shelves.
    """
    rows: dict[str, dict[str, Any]] = {}
    judged: dict[str, tuple[Any, ...]] = {}
    for folder in folders:
        report, said = _read(folder)
        judged[str(folder)] = tuple(report[key] for key in ("run", "shelf", "visits", "clicks", "candidates"))
        chosen = variant or report["default_variant"]
        if chosen not in report["metrics"]:
            raise UsageError.unknown("variant", chosen, report["metrics"], where=str(folder))
        row = rows.setdefault(said, {"name": (names or {}).get(folder.name, folder.name), "variant": chosen,
                                     "folders": [], "reports": [], "people": report["metrics"][chosen]})  # fmt: skip
        row["folders"].append(str(folder))
        row["reports"] += report["seeds"]
        row.setdefault("seconds", []).append(sum(report["seconds"].values()))
    if len(set(judged.values())) > 1:
        raise ContractBroken("these runs were not judged by the same visits", hint="compare runs of one date and shelf")
    _tell_apart(list(rows.values()))
    metrics = [name for name in METRICS if all(name in row["people"] for row in rows.values())]
    told = [_row(row, metrics, how) for row in rows.values()]
    for name in metrics:
        place = _best(name, list(rows.values()), told)
        if place is not None:
            told[place]["best"].append(name)
    return {"variant": variant or (told[0]["variant"] if told else None), "interval": how, "metrics": metrics,
            "rows": told}  # fmt: skip


def winner(rows: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any] | None:
    """The row that is best on the days before the clock, and how it did after it; None where those days have no clicks.

    Args:
        rows: of `compare`.
        metric: one of `BEFORE`.
    """
    sign = -1.0 if metric == "logloss" else 1.0
    judged = [row for row in rows if metric in row["before"]]
    if not judged:
        return None
    best = max(judged, key=lambda row: sign * row["before"][metric]["value"])
    after = {name: best[name] for name in METRICS if name in best}
    return {"name": best["name"], "metric": metric, "before": best["before"][metric], "after": after,
            "folders": best["folders"]}  # fmt: skip


def _tell_apart(rows: Sequence[dict[str, Any]]) -> None:
    names = [row["name"] for row in rows]
    for row in rows:
        if names.count(row["name"]) > 1:
            row["name"] = str(Path(*Path(row["folders"][0]).parts[-2:]))


def _row(row: dict[str, Any], metrics: Sequence[str], how: How) -> dict[str, Any]:
    parameters = [seed["training"]["parameters"] for seed in row["reports"]]
    told = {"name": row["name"], "variant": row["variant"], "seeds": [seed["seed"] for seed in row["reports"]]}
    for name in metrics:
        interval = _interval(row, name, how)
        told[name] = {"value": interval.value, "low": _known(interval.low), "high": _known(interval.high)}
    return {
        **told,
        "best": [],
        "before": _before(row, how),
        "parameters": int(max(parameters)),
        "seconds": round(sum(row["seconds"]), 2),
        "folders": row["folders"],
    }


def _before(row: dict[str, Any], how: How) -> dict[str, dict[str, float | None]]:
    found = {}
    for name in BEFORE:
        values = [seed["training"].get(name) for seed in row["reports"]]
        if None not in values:
            of = _SPREAD[how](values)
            found[name] = {"value": of.value, "low": _known(of.low), "high": _known(of.high)}
    return found


def _values(row: dict[str, Any], name: str) -> list[float]:
    return [float(seed["metrics"][row["variant"]][name]) for seed in row["reports"]]


def _interval(row: dict[str, Any], name: str, how: How) -> Interval:
    values = _values(row, name)
    if len(values) == 1:
        low, high = row["people"]["intervals"][name]
        return Interval(values[0], math.nan if low is None else low, math.nan if high is None else high)
    return _SPREAD[how](values)


def _best(name: str, rows: Sequence[dict[str, Any]], told: Sequence[dict[str, Any]]) -> int | None:
    """The row that is higher than each other one beyond the interval of their difference; None if there is none."""
    place = max(range(len(rows)), key=lambda n: told[n][name]["value"])
    mine = _values(rows[place], name)
    for other, row in enumerate(rows):
        if other == place:
            continue
        theirs = _values(row, name)
        if len(mine) > 1 and len(theirs) > 1:
            apart = difference_interval(mine, theirs).low > 0.0
        else:
            lowest, highest = told[place][name]["low"], told[other][name]["high"]
            apart = lowest is not None and highest is not None and lowest > highest
        if not apart:
            return None
    return place if len(rows) > 1 else None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _read(folder: Path) -> tuple[dict[str, Any], str]:
    """The report, and everything settled but name and seeds."""
    try:
        report = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        said = yaml.safe_load((folder / "experiment.yaml").read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError("no finished run here", where=str(folder), hint="es-ranking models train") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ContractBroken("a run's files cannot be read", where=str(folder), hint="run it again") from error
    if "default_variant" not in report or not report.get("metrics"):
        raise ContractBroken("a run without judged metrics", where=str(folder), hint="run it again")
    training = {key: value for key, value in said["training"].items() if key != "seed"}
    settled = {key: value for key, value in said.items() if key not in ("name", "seeds")} | {"training": training}
    return report, json.dumps(settled, sort_keys=True)
