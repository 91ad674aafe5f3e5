"""Changes of the experiments' document, each as a pure function: what a dry run shows is what would be put."""

from __future__ import annotations

from collections.abc import Mapping

from es_ranking.experiments.document import NOBODY, Experiments, Layer
from segments.assign import SLOTS, Experiment, allocate, moved, ratios_of
from segments.errors import UsageError
from segments.teams import teams_of


def with_ratios(
    document: Experiments, name: str, ratios: Mapping[str, float], *, control: str | None = None,
    unit: str | None = None, surfaces: tuple[str, ...] = (), layer: str | None = None, share: float | None = None,
) -> Experiments:  # fmt: skip
    """An experiment begun, or its ratios changed with the fewest slots moved.

    Args:
        ratios: variant → share; they sum to 1.
        control: the first variant of a new experiment otherwise (of two interleaved ones the first).
        unit, surfaces, layer: of a new experiment; an old one keeps its own.
        share: of the layer's slots.

    Raises:
        UsageError: ratios that do not sum to 1, what cannot change of an experiment, a layer without a share.
    """
    if any(one < 0 for one in ratios.values()) or not abs(sum(ratios.values()) - 1.0) <= 1e-3:
        raise UsageError(f"the ratios sum to {sum(ratios.values()):g}, not to 1", where=name, hint="A=0.9 B=0.1")
    old = document.named(name)
    if old is None:
        first = control or teams_of(next(iter(ratios)))[0]
        fresh = {
            "name": name, "salt": name, "control": first, "owners": allocate(ratios), "unit": unit or "user",
            "layer": layer or "", "surfaces": surfaces, "epoch": document.past.get(name, 0) + 1,
        }  # fmt: skip
        new = Experiment.of(fresh, where=name)
    else:
        given = {"unit": unit, "layer": layer, "surfaces": surfaces or None}
        for what, value in given.items():
            if value is not None and value != getattr(old, what):
                raise UsageError(
                    f"the {what} of an experiment cannot change: who is in it would", where=name,
                    hint="end it, and begin one of another name",
                )  # fmt: skip
        owners = allocate(ratios, previous=old.owners)
        new = old.model_copy(update={"owners": owners, "control": control or old.control})
    compared = list(dict.fromkeys(team for variant in ratios for team in teams_of(variant)))
    if new.control not in compared:
        raise UsageError.unknown("control", new.control, compared, where=name)
    if share is not None and not new.layer:
        raise UsageError("a share is of a layer, and it is in none", where=name, hint="--layer L")
    if new.layer and old is None and share is None:
        raise UsageError(f"which share of layer {new.layer!r} does it get?", where=name, hint="--share 0.3")
    return _replaced(document, new, share)


def killed(document: Experiments, name: str, *, undo: bool = False) -> Experiments:
    """Everybody gets the control, at once; or the experiment goes on where it stood."""
    return _replaced(document, _known(document, name).model_copy(update={"killed": not undo}), None)


def forcing(document: Experiments, name: str, testers: Mapping[str, str | None]) -> Experiments:
    """Testers get the variant they are given; None: what their slot says."""
    old = _known(document, name)
    forced = {user: variant for user, variant in {**old.forced, **testers}.items() if variant is not None}
    return _replaced(document, old.model_copy(update={"forced": forced}), None)


def ended(document: Experiments, name: str) -> Experiments:
    """Without this experiment; the slots of its layer are nobody's, a layer without experiments is gone. Its last epoch
    stays, so that one of the same name is never counted with it."""
    past = document.past | {name: _known(document, name).epoch}
    left = [one for one in document.experiments if one.name != name]
    layers = [
        layer.model_copy(update={"owners": tuple(NOBODY if one == name else one for one in layer.owners)})
        for layer in document.layers
        if any(one.layer == layer.name for one in left)
    ]
    return _checked(document, {"layers": layers, "experiments": left, "past": past})


def holding_out(document: Experiments, share: float, *, variant: str | None = None) -> Experiments:
    """A share of all users is in no experiment; a larger or smaller share moves no more users than it must."""
    if not 0 <= share <= 1:
        raise UsageError(f"not a share: {share:g}", where="hold-out", hint="0.05")
    told = {"slots": round(share * SLOTS)} | ({} if variant is None else {"variant": variant})
    held = document.hold_out.model_copy(update=told)
    # what users have moved into or out of an experiment counts anew
    anew = int(held.slots != document.hold_out.slots)
    bumped = [one.model_copy(update={"epoch": one.epoch + anew}) for one in document.experiments]
    return _checked(document, {"hold_out": held, "experiments": bumped})


def slots_moved(before: Experiments, after: Experiments) -> int:
    """Slots, of experiments and of layers, that change their owner; a new or ended one counts none."""
    total = abs(before.hold_out.slots - after.hold_out.slots)
    for one in after.experiments:
        old = before.named(one.name)
        total += moved(old.owners, one.owners) if old is not None else 0
    layers = {layer.name: layer for layer in before.layers}
    return total + sum(moved(layers[one.name].owners, one.owners) for one in after.layers if one.name in layers)


def _replaced(document: Experiments, new: Experiment, share: float | None) -> Experiments:
    old = document.named(new.name)
    layers = list(document.layers)
    if new.layer and share is not None:
        layers = _shared(layers, new, share)
    if old is not None and (_who(old) != _who(new) or layers != list(document.layers)):
        new = new.model_copy(update={"epoch": old.epoch + 1})
    listed = [new if one.name == new.name else one for one in document.experiments] + ([new] if old is None else [])
    return _checked(document, {"layers": layers, "experiments": listed})


def _shared(layers: list[Layer], new: Experiment, share: float) -> list[Layer]:
    """The layer's slots with this share for the experiment, taken from and given back to nobody alone."""
    known = {one.name: one for one in layers}
    layer = known.get(new.layer) or Layer(name=new.layer, salt=f"layer {new.layer}", owners=(NOBODY,) * SLOTS)
    has = ratios_of(layer.owners)
    others = {name: part for name, part in has.items() if name not in {NOBODY, new.name}}
    free = 1.0 - sum(others.values())
    if not 0 < share <= free + 1e-9:
        raise UsageError(
            f"layer {layer.name!r} has {free:g} left, not {share:g}", where=new.name, hint="end another experiment"
        )
    owners = allocate(others | {new.name: share, NOBODY: max(0.0, free - share)}, previous=layer.owners)
    return list((known | {layer.name: layer.model_copy(update={"owners": owners})}).values())


def _who(experiment: Experiment) -> tuple[object, ...]:
    return experiment.owners, experiment.killed


def _known(document: Experiments, name: str) -> Experiment:
    found = document.named(name)
    if found is None:
        raise UsageError.unknown("experiment", name, [one.name for one in document.experiments])
    return found


def _checked(document: Experiments, update: Mapping[str, object]) -> Experiments:
    listed = {name: tuple(value) if isinstance(value, list) else value for name, value in update.items()}
    return Experiments.of(document.model_copy(update=listed).model_dump(mode="json"), where="experiments")
