"""Compressors of content vectors side by side: what their codes still tell, and what a ranking model makes of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segments.whole import write_whole
from spark_jobs.evaluation.seeds import mean_interval
from spark_jobs.models.run_folder import finite
from spark_jobs.reporting.compression_picture import draw
from spark_jobs.vectors.compressor import distinct, fit
from spark_jobs.vectors.fidelity import fidelity

if TYPE_CHECKING:
    from spark_jobs.compression_settings import CompressionSettings
    from spark_jobs.grounds import Ground
    from spark_jobs.vectors.method import Floats
    from spark_jobs.vectors.settings import CompressorSettings

Told = Callable[[str], None]
WHOLE, NONE = "whole", "none"
FIDELITY = ("explained", "own", "neighbours")


def compare(
    ground: Callable[[int], Ground], settings: CompressionSettings, *, seeds: Sequence[int], folder: Path,
    on_stage: Told = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Fits every compressor at every width for every seed; writes compressions.json and compressions.png.

    Each is fitted on the same distinct vectors, the rest are held out from it, and the model is trained with the codes
    of all items.

    Args:
        ground: of a seed, what the codes are judged on.
        settings: what is compared.
        seeds: of the ground (where it has one), the compressors and the trainings.
        folder: made if missing.
        on_stage: told what begins.

    Returns:
        `inputs` (numbers in a vector), `items`, `distinct`, `seeds`, `rows` and `picture`. A row: `name`, `width`,
        `gauc`, `over_none`, `over_pca` (paired by seed, at the same width), each `value`, `low`, `high` over the seeds;
        `explained`, `own`, `neighbours` (`vectors.fidelity`) and `fit_seconds`, means over the seeds. Rows without
        a compressor: `none` (no vector), `whole` (as it came), and codes that the ground has beside.
    """
    heard: dict[tuple[str, int], dict[str, list[float | None]]] = {}
    sizes: dict[str, int] = {}
    for seed in seeds:
        on_stage(f"seed {seed}: examples and vectors")
        here = ground(seed)
        known, held = _split(here.vectors, settings.held_out, seed)
        sizes = {"inputs": here.vectors.shape[1], "items": len(here.vectors), "distinct": len(known) + len(held)}
        for name, ready in ((NONE, None), (WHOLE, here.vectors), *here.beside.items()):
            on_stage(f"seed {seed}: {name}")
            line = heard.setdefault((name, 0 if ready is None else ready.shape[1]), {})
            line.setdefault("gauc", []).append(here.gauc(ready, seed=seed, epochs=settings.epochs))
        for width in settings.widths:
            for compressor in settings.compressors:
                on_stage(f"seed {seed}: {compressor.kind} to {width}")
                told = _tried(compressor.model_copy(update={"seed": seed}), here, known, held=held, width=width,
                              epochs=settings.epochs)  # fmt: skip
                for figure, value in told.items():
                    heard.setdefault((compressor.kind, width), {}).setdefault(figure, []).append(value)
    folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {**sizes, "seeds": list(seeds), "rows": [_row(key, heard) for key in heard]}
    picture = folder / "compressions.png"
    draw(report["rows"], picture)
    report["picture"] = str(picture)
    # One seed alone has no interval; JSON has no NaN.
    clean: dict[str, Any] = json.loads(json.dumps(finite(report)))
    write_whole(folder / "compressions.json", json.dumps(clean, indent=1))
    return clean


def _split(vectors: Floats, share: float, seed: int) -> tuple[Floats, Floats]:
    """Distinct vectors to learn from, and held-out ones; what is not finite is 0 here."""
    rows = distinct(np.nan_to_num(vectors[np.isfinite(vectors).any(axis=1)], posinf=0.0, neginf=0.0))
    order = np.random.default_rng(seed).permutation(len(rows))
    cut = max(1, round(share * len(rows)))
    return rows[order[cut:]], rows[order[:cut]]


def _tried(
    settings: CompressorSettings, here: Ground, known: Floats, *, held: Floats, width: int, epochs: int
) -> dict[str, float | None]:
    started = time.perf_counter()
    compressor = fit(settings, known, width=width)
    seconds = time.perf_counter() - started
    codes = compressor.transform(here.vectors)
    return {
        "gauc": here.gauc(codes, seed=settings.seed, epochs=epochs),
        **fidelity(compressor, known, held),
        "fit_seconds": seconds,
    }


def _row(key: tuple[str, int], heard: dict[tuple[str, int], dict[str, list[Any]]]) -> dict[str, Any]:
    name, width = key
    mine = heard[key]
    row: dict[str, Any] = {"name": name, "width": width, "gauc": asdict(mean_interval(mine["gauc"]))}
    for told, other in (("over_none", (NONE, 0)), ("over_pca", ("pca", width))):
        known = key != other and other in heard
        gap = np.subtract(mine["gauc"], heard[other]["gauc"]).tolist() if known else None
        row[told] = None if gap is None else asdict(mean_interval(gap))
    for figure in (*FIDELITY, "fit_seconds"):
        values = [value for value in mine.get(figure, []) if value is not None]
        row[figure] = float(np.mean(values)) if values else None
    return row
