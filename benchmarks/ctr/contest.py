"""What every contender of the comparison shares: the job it gets, the arrays it reads, the result it leaves.

Standard library and numpy only: it is imported under each contender's own interpreter.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OTHER = 0  # id of values that the training rows do not hold


@dataclass(frozen=True)
class Job:
    """One training run: the same numbers for whoever runs it.

    `data` is a folder of `datasets.py`; sizes counts each field's ids, `OTHER` included.
    """

    data: str
    out: str
    contender: str
    model: str
    fields: tuple[str, ...]
    sizes: tuple[int, ...]
    dim: int
    hidden: tuple[int, ...]
    cross: int
    epochs: int
    batch: int
    learning_rate: float
    l2: float
    seed: int
    extra: dict[str, Any]

    @classmethod
    def from_command_line(cls) -> Job:
        """The job whose JSON file is the only argument."""
        return cls.of(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))

    @classmethod
    def of(cls, values: dict[str, Any]) -> Job:
        """The job that plain JSON values tell."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def arrays(self, part: str) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.float32]]:
        """Ids of each field and labels of `train`, `valid` or `test`, from the NumPy file."""
        with np.load(self.file(part, "npz")) as found:
            return {name: found[name].astype(np.int64) for name in self.fields}, found["label"].astype(np.float32)

    def file(self, part: str, kind: str) -> Path:
        """The file of a part; `npz` and `parquet` hold the same columns."""
        return Path(self.data) / f"{part}.{kind}"


class Stopwatch:
    """Wall and processor seconds of the stages of one run, children included."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.processor: dict[str, float] = {}
        self._wall, self._cpu = time.perf_counter(), processor_seconds()

    def lap(self, stage: str) -> None:
        """Everything since the last lap was `stage`."""
        wall, cpu = time.perf_counter(), processor_seconds()
        self.seconds[stage], self.processor[stage] = wall - self._wall, cpu - self._cpu
        self._wall, self._cpu = wall, cpu


def leave(job: Job, watch: Stopwatch, chance: NDArray[np.float64], *, parameters: int, **more: object) -> None:
    """Writes test probabilities and what the run cost: laps `load`, `fit` and `predict` are expected."""
    out = Path(job.out)
    np.save(out / "chance.npy", np.asarray(chance, dtype=np.float64).reshape(-1))
    result = {
        "seconds": watch.seconds,
        "processor": watch.processor,
        "parameters": parameters,
        "peak_mb": max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        / 1024.0,
        **more,
    }
    (out / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")


def processor_seconds() -> float:
    """Of this process and its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)
