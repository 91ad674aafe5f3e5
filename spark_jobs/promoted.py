"""Which checkpoint serves which variant, surface and unit: one small file in the work folder, with its history.

A promoted checkpoint is copied into `promoted/`, under a name taken from its weights and sidecar: training that runs
later cannot change what was promoted. The file is written beside and renamed. Where nothing is promoted, a night serves
the checkpoint it has trained itself.

A unit is a store, a department: the items that have a value in a column, written `column=value`. Its checkpoint must
have been calibrated on that unit (its notes say so), since lists mix items of several units and sort them by
probability.
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
from segments.whole import write_whole
from spark_jobs.models.checkpoint import from_parts, read_parts

FORMAT = 1
FILE = "promoted.json"
EVERY = "*"
NONE = "(none)"  # the unit of items without a value
Place = tuple[str, str, str]
Units = tuple[str | None, ...]


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
        unit: `column=value` of the items it scores; empty for the whole surface.
    """

    surface: str
    variant: str
    checkpoint: str
    model: str
    origin: str
    note: str = ""
    unit: str = ""

    @property
    def place(self) -> Place:
        """What there is one checkpoint for."""
        return self.surface, self.variant, self.unit


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

    def checkpoint(self, surface: str, variant: str, unit: str = "") -> Path | None:
        """Folder of what serves a variant of a surface (of a unit of it), None where the night's own does."""
        for wanted in dict.fromkeys((unit, "")):
            for name in (variant, EVERY):
                found = self._of((surface, name, wanted))
                if found is not None:
                    return self.work / found.checkpoint
        return None

    def units(self, surface: str) -> tuple[str, list[str]]:
        """The column that tells a surface's units, and the values that have a checkpoint of their own."""
        units = sorted({one.unit for one in self.serving if one.surface == surface and one.unit})
        column = units[0].partition("=")[0] if units else ""
        return column, [unit.partition("=")[2] for unit in units]

    def scored_by(self, surface: str, variant: str) -> dict[Path | None, Units]:
        """Checkpoint (None: the night's own) → the units whose items it scores; None among them: all other items."""
        column, units = self.units(surface)
        found: dict[Path | None, Units] = {self.checkpoint(surface, variant): (None,)}
        for unit in units:
            folder = self.checkpoint(surface, variant, f"{column}={unit}")
            found[folder] = (*found.get(folder, ()), unit)
        return found

    def promote(
        self, folder: Path, *, surface: str, variant: str = EVERY, unit: str = "", at: str = "", note: str = ""
    ) -> Serving:
        """Lets a checkpoint serve from the next step `score` on.

        Args:
            folder: of the checkpoint, such as an experiment's `seed-7`.
            surface: kind of item.
            variant: or `*`.
            unit: `column=value`, or empty for the whole surface.
            at: when, for the history.
            note: why, for the history.

        Raises:
            Refused: no checkpoint there, one that was calibrated on another unit, or a unit by another column than
                the surface's other units: an item would belong to two.
            ContractBroken: a damaged one.
        """
        sidecar, weights = read_parts(folder)
        checkpoint = from_parts(sidecar, weights, where=str(folder))
        made_for = str(checkpoint.notes.get("unit", ""))
        if made_for != unit:
            raise Refused(
                f"the checkpoint is calibrated on {made_for or 'the whole surface'}, not on {unit or 'it'}",
                where=str(folder),
                hint="its probabilities would not compare: es-ranking models choose --promote makes those of units",
            )
        column, _ = self.units(surface)
        if unit and column and column != unit.partition("=")[0]:
            raise Refused(f"the units of {surface} are told by {column}", where=unit, hint="demote those first")
        name = blake2b(sidecar.encode() + weights, digest_size=8).hexdigest()
        place = Path("promoted") / name
        if not (self.work / place).is_dir():
            fresh = self.work / "promoted" / f".{name}.{os.getpid()}"
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(folder, fresh, ignore=shutil.ignore_patterns("*.tmp"))
            fresh.replace(self.work / place)
        made = Serving(surface, variant, str(place), checkpoint.settings.kind, str(folder), note, unit)
        before = self._of(made.place)
        self._put(made.place, made)
        self._record("promote", made, before, at)
        return made

    def demote(
        self, *, surface: str, variant: str = EVERY, unit: str = "", at: str = "", note: str = ""
    ) -> Serving | None:
        """Takes back the last promotion: what served before it serves again, or (None) the night's own checkpoint.

        Raises:
            Refused: nothing is promoted there.
        """
        place = (surface, variant, unit)
        now = self._of(place)
        if now is None:
            raise Refused(
                f"nothing is promoted for {surface}, variant {variant}{unit and ', '}{unit}",
                where=str(self.work / FILE),
                hint="es-ranking models list",
            )
        stack: list[Serving] = []
        for line in self.history:
            if (line["surface"], line["variant"], line.get("unit", "")) == place:
                if line["did"] == "promote":
                    stack.append(Serving(**line["serving"]))
                elif stack:
                    stack.pop()
        before = stack[-2] if len(stack) > 1 else None
        self._put(place, before)
        self._record("demote", now, before, at, note=note)
        return before

    def _of(self, place: Place) -> Serving | None:
        return next((one for one in self.serving if one.place == place), None)

    def _put(self, place: Place, serving: Serving | None) -> None:
        kept = [one for one in self.serving if one.place != place]
        self.serving = sorted([*kept, *([serving] if serving else [])], key=lambda one: one.place)

    def _record(self, did: str, serving: Serving, other: Serving | None, at: str, *, note: str = "") -> None:
        line = {
            "did": did,
            "at": at,
            "surface": serving.surface,
            "variant": serving.variant,
            "unit": serving.unit,
            "note": note or serving.note,
            "serving": asdict(serving),
            "other": asdict(other) if other else None,
        }
        self.history.append(line)
        self.work.mkdir(parents=True, exist_ok=True)
        values = {"format": FORMAT, "serving": [asdict(one) for one in self.serving], "history": self.history}
        write_whole(self.work / FILE, json.dumps(values, indent=1))
