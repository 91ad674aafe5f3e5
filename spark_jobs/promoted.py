"""Which checkpoint serves which variant and surface: one small file in the work folder, with its history.

A promoted checkpoint is copied into `promoted/`, under a name taken from its weights and sidecar: training that runs
later cannot change what was promoted. The file is written beside and renamed. Where nothing is promoted, a night serves
the checkpoint it has trained itself.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from segments.errors import ContractBroken, Refused
from spark_jobs.models.checkpoint import from_parts, read_parts
from spark_jobs.models.run_folder import write_whole

FORMAT = 1
FILE = "promoted.json"
EVERY = "*"


@dataclass(frozen=True)
class Serving:
    """One promotion.

    Attributes:
        surface: kind of item whose lists it ranks, product or banner.
        variant: A/B variant; `*` for every variant that a model scores and that has no promotion of its own.
        checkpoint: folder of the copy, below the work folder.
        model: its kind.
        origin: where it was copied from.
        note: why.
    """

    surface: str
    variant: str
    checkpoint: str
    model: str
    origin: str
    note: str = ""


@dataclass
class Promoted:
    """The registry of a work folder; `read` it, change it, and it is written."""

    work: Path
    serving: list[Serving] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, work: Path) -> Promoted:
        """The registry, empty where there is none.

        Raises:
            ContractBroken: the file is not one.
        """
        try:
            text = (work / FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls(work)
        try:
            values = json.loads(text)
            return cls(work, [Serving(**row) for row in values["serving"]], list(values["history"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ContractBroken("the promotions cannot be read", where=str(work / FILE)) from error

    def checkpoint(self, surface: str, variant: str) -> Path | None:
        """Folder of what serves a variant of a surface, None where the night's own does."""
        for wanted in (variant, EVERY):
            for one in self.serving:
                if (one.surface, one.variant) == (surface, wanted):
                    return self.work / one.checkpoint
        return None

    def promote(self, folder: Path, *, surface: str, variant: str = EVERY, at: str = "", note: str = "") -> Serving:
        """Lets a checkpoint serve from the next step `score` on.

        Args:
            folder: of the checkpoint, such as an experiment's `seed-7`.
            surface: kind of item.
            variant: or `*`.
            at: when, for the history.
            note: why, for the history.

        Raises:
            Refused: no checkpoint there.
            ContractBroken: a damaged one.
        """
        sidecar, weights = read_parts(folder)
        checkpoint = from_parts(sidecar, weights, where=str(folder))
        name = blake2b(sidecar.encode() + weights, digest_size=8).hexdigest()
        place = Path("promoted") / name
        if not (self.work / place).is_dir():
            fresh = self.work / "promoted" / f".{name}.{os.getpid()}"
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(folder, fresh, ignore=shutil.ignore_patterns("*.tmp"))
            fresh.replace(self.work / place)
        made = Serving(surface, variant, str(place), checkpoint.settings.kind, str(folder), note)
        before = self._of(surface, variant)
        self._put(surface, variant, made)
        self._record("promote", made, before, at)
        return made

    def demote(self, *, surface: str, variant: str = EVERY, at: str = "", note: str = "") -> Serving | None:
        """Takes back the last promotion: what served before it serves again, or (None) the night's own checkpoint.

        Raises:
            Refused: nothing is promoted there.
        """
        now = self._of(surface, variant)
        if now is None:
            raise Refused(
                f"nothing is promoted for {surface}, variant {variant}",
                where=str(self.work / FILE),
                hint="es-ranking models list",
            )
        stack: list[Serving] = []
        for line in self.history:
            if (line["surface"], line["variant"]) == (surface, variant):
                if line["did"] == "promote":
                    stack.append(Serving(**line["serving"]))
                elif stack:
                    stack.pop()
        before = stack[-2] if len(stack) > 1 else None
        self._put(surface, variant, before)
        self._record("demote", now, before, at, note=note)
        return before

    def _of(self, surface: str, variant: str) -> Serving | None:
        return next((one for one in self.serving if (one.surface, one.variant) == (surface, variant)), None)

    def _put(self, surface: str, variant: str, serving: Serving | None) -> None:
        kept = [one for one in self.serving if (one.surface, one.variant) != (surface, variant)]
        self.serving = sorted([*kept, *([serving] if serving else [])], key=lambda one: (one.surface, one.variant))

    def _record(self, did: str, serving: Serving, other: Serving | None, at: str, *, note: str = "") -> None:
        line = {
            "did": did,
            "at": at,
            "surface": serving.surface,
            "variant": serving.variant,
            "note": note or serving.note,
            "serving": asdict(serving),
            "other": asdict(other) if other else None,
        }
        self.history.append(line)
        self.work.mkdir(parents=True, exist_ok=True)
        values = {"format": FORMAT, "serving": [asdict(one) for one in self.serving], "history": self.history}
        write_whole(self.work / FILE, json.dumps(values, indent=1))
