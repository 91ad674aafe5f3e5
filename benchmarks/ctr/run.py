"""Ours and the peers on the same data, split, fields, hyper-parameters and metric; one table.

    python benchmarks/ctr/run.py --data generated --models deepfm,fm --peers-python /path/to/peers/bin/python

Every run is a process of its own with one torch thread. Contenders take turns, so that a busy machine slows all alike;
figures are medians over runs, ratios are taken within a turn.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import pyarrow.parquet as pq

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

import datasets  # noqa: E402

from spark_jobs.evaluation.auc import auc, gauc  # noqa: E402
from spark_jobs.evaluation.calibration import logloss  # noqa: E402

MODELS = ("lr", "fm", "fwfm", "dnn", "wide_deep", "deepfm", "dcn", "dcnv2")
# Ours twice: with the peers' optimiser, and with the one meant for tables of millions of rows.
OURS: dict[str, dict[str, Any]] = {
    "ours": {"optimizer": "rowwise_adagrad", "table_rate": 0.01},
    "ours-adam": {"optimizer": "adam"},
}
PEERS = {
    "fuxictr": ("fuxictr_run.py", set(MODELS)),
    "deepctr": ("deepctr_run.py", {"fm", "wide_deep", "deepfm", "dcn", "dcnv2"}),
    "rechub": ("rechub_run.py", {"wide_deep", "deepfm", "dcn", "dcnv2"}),
}


def main() -> None:
    """Prepares the data set where it is not there yet, runs everybody, prints the table."""
    options = _options()
    folder = Path(options.folder) / f"{options.data}-{options.rows if options.data == 'generated' else options.share}"
    if not (folder / "meta.json").exists():
        if options.data == "generated":
            datasets.generated(folder, rows=options.rows)
        else:
            datasets.journey(folder, Path(options.examples), share=options.share)
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    log = Path(options.out)
    log.parent.mkdir(parents=True, exist_ok=True)
    for turn in range(options.repeats):
        for seed in range(1, options.seeds + 1):
            for model in options.models.split(","):
                for contender in options.contenders.split(","):
                    if contender in PEERS and (not options.peers_python or model not in PEERS[contender][1]):
                        continue
                    found = _one(options, folder, meta, contender, model, seed, turn)
                    with log.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(found) + "\n")
                    print(_line(found), file=sys.stderr, flush=True)
    print(table([json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]))


def _one(
    options: argparse.Namespace, folder: Path, meta: dict[str, Any], contender: str, model: str, seed: int, turn: int
) -> dict[str, Any]:
    out = folder / "runs" / f"{contender}-{model}-{seed}"
    out.mkdir(parents=True, exist_ok=True)
    (out / "result.json").unlink(missing_ok=True)
    job = {
        "data": str(folder.absolute()),
        "out": str(out.absolute()),
        "contender": contender,
        "model": model,
        "fields": meta["fields"],
        "sizes": meta["sizes"],
        "dim": options.dim,
        "hidden": [int(width) for width in options.hidden.split("-")],
        "cross": options.cross,
        "epochs": options.epochs,
        "batch": options.batch,
        "learning_rate": options.learning_rate,
        "l2": options.l2,
        "seed": seed,
        "extra": {},
    }
    if contender in OURS:
        extra = json.loads(options.extra)
        job["extra"] = {**extra, "training": {**OURS[contender], **extra.get("training", {})}}
    (out / "job.json").write_text(json.dumps(job), encoding="utf-8")
    script = "ours.py" if contender in OURS else PEERS[contender][0]
    python = sys.executable if contender in OURS else options.peers_python
    path = os.pathsep.join([str(HERE), *([str(HERE.parent.parent)] if contender in OURS else [])])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": path}
    started = time.perf_counter()
    with (out / "log.txt").open("w", encoding="utf-8") as file:
        done = subprocess.run(
            [python, "-W", "ignore", str(HERE / script), str(out / "job.json")],
            env=environment, stdout=file, stderr=file, check=False, timeout=options.timeout,
        )  # fmt: skip
    wall = time.perf_counter() - started
    base = {"contender": contender, "model": model, "seed": seed, "turn": turn, "hidden": options.hidden}
    if done.returncode or not (out / "result.json").exists():
        return {**base, "error": (out / "log.txt").read_text(encoding="utf-8")[-500:]}
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    chance = np.clip(np.load(out / "chance.npy"), 1e-7, 1.0 - 1e-7)
    test = pq.read_table(folder / "test.parquet", columns=["label", "group"])
    label, group = (np.asarray(test.column(name).to_numpy()) for name in ("label", "group"))
    label = label.astype(np.float64)
    seconds, processor = result["seconds"], result["processor"]
    return {
        **base,
        "auc": auc(label, chance),
        "gauc": gauc(label, chance, group) if meta["grouped"] else math.nan,
        "logloss": logloss(label, chance),
        "epoch_s": seconds["fit"] / options.epochs,
        "train_s": seconds["load"] + seconds["fit"],
        "train_cpu_s": processor["load"] + processor["fit"],
        "process_s": wall,
        "peak_mb": result["peak_mb"],
        "predict_rows_s": len(label) / seconds["predict"],
        "parameters": result["parameters"],
        "seconds": seconds,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """One line a model and contender: medians; the ratio is the contender's whole training over ours, turn by turn."""
    runs: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if "error" not in row:
            runs[row["model"], row["hidden"], row["contender"]].append(row)
    head = (
        "model", "deep", "who", "runs", "AUC", "gAUC", "logloss", "s/epoch", "train s", "CPU s", "× ours",
        "× ours CPU", "peak MB", "predict rows/s", "parameters",
    )  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for (model, hidden, contender), found in sorted(runs.items(), key=lambda item: (item[0][0], item[0][1])):
        ours = {(r["seed"], r["turn"]): r for r in runs.get((model, hidden, "ours"), [])}
        pairs = [(row, ours[row["seed"], row["turn"]]) for row in found if (row["seed"], row["turn"]) in ours]
        ratio = [median(a[key] / b[key] for a, b in pairs) if pairs else math.nan for key in ("train_s", "train_cpu_s")]
        quality = [f"{mean(row[key] for row in found):.4f}" for key in ("auc", "gauc", "logloss")]
        costs = [median(row[key] for row in found) for key in ("epoch_s", "train_s", "train_cpu_s")]
        cells = [model, hidden, contender, len(found), *quality, *(f"{c:.1f}" for c in costs)]
        cells += [*(f"{r:.2f}" for r in ratio), f"{median(row['peak_mb'] for row in found):.0f}"]
        cells += [f"{median(row['predict_rows_s'] for row in found):,.0f}", f"{found[0]['parameters']:,}"]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _line(found: dict[str, Any]) -> str:
    if "error" in found:
        return f"{found['contender']} {found['model']}: {found['error']}"
    keys = ("auc", "gauc", "logloss", "train_s", "train_cpu_s", "peak_mb", "predict_rows_s")
    return f"{found['contender']} {found['model']}: " + ", ".join(f"{key} {found[key]:.5g}" for key in keys)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ours and the peers on the same data.")
    parser.add_argument("--data", choices=("generated", "journey"), default="generated")
    parser.add_argument("--folder", default="runs/benchmarks/ctr", help="where data sets and runs are kept")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the generated set")
    parser.add_argument("--examples", help="folder of a run's examples table, for journey")
    parser.add_argument("--share", type=float, default=0.25, help="of the visits, for journey")
    parser.add_argument("--models", default="deepfm", help=",".join(MODELS))
    parser.add_argument("--contenders", default="ours,ours-adam,fuxictr,deepctr,rechub")
    parser.add_argument("--peers-python", help="interpreter of the environment that holds the peers")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--dim", type=int, default=10)
    parser.add_argument("--hidden", default="64-32")
    parser.add_argument("--cross", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--l2", type=float, default=0.0)
    parser.add_argument("--timeout", type=float, default=1800.0)
    parser.add_argument("--extra", default="{}", help="JSON of more settings of ours: training, model, buckets")
    parser.add_argument("--out", default="runs/benchmarks/ctr/results.jsonl")
    return parser.parse_args()


if __name__ == "__main__":
    main()
