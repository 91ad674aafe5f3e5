"""Where experiments are kept, `<alias>-experiments`, and what changed from version to version."""

from __future__ import annotations

from es_ranking.experiments.document import Experiments, Layer
from es_ranking.versions.store import Kind, VersionStore
from segments.assign import Experiment, moved, ratios_of


def changes(before: Experiments | None, after: Experiments) -> list[str]:
    """Lines such as `ranking: A 0.9 → 0.5, B2 0.1 → 0.5 (400 slots move)`."""
    before = before or Experiments()
    lines = []
    if before.hold_out != after.hold_out:
        lines.append(f"hold-out: {before.hold_out.slots} → {after.hold_out.slots} slots, {after.hold_out.variant}")
    old: dict[str, Experiment | Layer] = {f"{one.name}": one for one in before.experiments}
    new: dict[str, Experiment | Layer] = {f"{one.name}": one for one in after.experiments}
    old |= {f"layer {one.name}": one for one in before.layers}
    new |= {f"layer {one.name}": one for one in after.layers}
    lines += [f"{name}: ended" for name in old if name not in new]
    for name, one in new.items():
        was = old.get(name)
        if was is None:
            lines.append(f"{name}: begun: {_told(ratios_of(one.owners))}")
            continue
        if was.owners != one.owners:
            told = f"{_told(ratios_of(was.owners))} → {_told(ratios_of(one.owners))}"
            lines.append(f"{name}: {told} ({moved(was.owners, one.owners)} slots move)")
        if isinstance(one, Experiment) and isinstance(was, Experiment):
            lines += [
                f"{name}: {what}: {getattr(was, what)} → {getattr(one, what)}"
                for what in ("control", "killed", "forced")
                if getattr(was, what) != getattr(one, what)
            ]
    return lines


def _told(ratios: dict[str, float]) -> str:
    return ", ".join(f"{name or 'nobody'} {share:g}" for name, share in ratios.items())


class ExperimentStore(VersionStore[Experiments]):
    """The experiments of one alias."""

    kind = Kind("experiments", Experiments, changes, hint="es-ranking experiment ratios history")
