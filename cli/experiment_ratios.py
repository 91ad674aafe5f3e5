"""`es-ranking experiment ratios`: live ratios, kill switch, hold-out; every version audited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.audit import change_options, emit_history, emit_version, store_of, when, who
from cli.output import emit, output_option
from segments.errors import Refused, UsageError
from segments.teams import teams_of

if TYPE_CHECKING:
    from es_ranking.experiments.document import Experiments
    from es_ranking.experiments.store import ExperimentStore


@click.group(name="ratios")
def group() -> None:
    """The live ratios of an index's experiments: every version is kept, the latest is in force within seconds."""


@group.command(name="show")
@click.argument("index")
@output_option
def show(index: str, output: str) -> None:
    """List the experiments in force.

    \b
    Example:
      es-ranking experiment ratios show products
    """
    store = experiments_of(index)
    latest = store.latest()
    if latest is None:
        raise Refused("no experiment was ever begun", where=store.index, hint="es-ranking experiment ratios set")
    document = latest.read()
    if output == "json":
        emit(latest.to_dict() | {"ratios": {one.name: one.ratios() for one in document.experiments}}, output)
        return
    rows = [
        {
            "experiment": one.name,
            "ratios": ", ".join(f"{variant} {share:g}" for variant, share in one.ratios().items()),
            "control": one.control,
            "unit": one.unit,
            "layer": one.layer or None,
            "surfaces": ", ".join(one.surfaces) or "all",
            "epoch": one.epoch,
            "killed": one.killed,
            "forced": len(one.forced),
        }
        for one in document.experiments
    ]
    held = f", {document.hold_out.slots / 10:g} % held out" if document.hold_out.slots else ""
    emit(rows, output, title=f"version {latest.version} by {latest.by} at {latest.at}{held}")


@group.command(name="history")
@click.argument("index")
@output_option
def history(index: str, output: str) -> None:
    """List every version: who put it, when, why, and what changed.

    \b
    Example:
      es-ranking experiment ratios history products
    """
    emit_history(experiments_of(index), output)


@group.command(name="set")
@click.argument("index")
@click.argument("name")
@click.argument("shares", nargs=-1, metavar="VARIANT=SHARE...")
@click.option("--control", metavar="V", help="Compared with; the first variant of a new experiment otherwise.")
@click.option("--unit", type=click.Choice(["user", "request"]), help="What is put into slots; users otherwise.")
@click.option("--surface", "surfaces", multiple=True, metavar="NAME", help="Only there (repeat); everywhere otherwise.")
@click.option("--layer", metavar="L", help="Never shares a user with the layer's other experiments.")
@click.option("--share", type=click.FloatRange(0, 1), metavar="S", help="Of the layer's users.")
@click.option("--force", "forced", multiple=True, metavar="USER=VARIANT",
              help="A tester's variant; without VARIANT what the slot says again (repeat).")  # fmt: skip
@change_options
@output_option
def set_ratios(
    index: str, name: str, shares: tuple[str, ...], control: str | None, unit: str | None, surfaces: tuple[str, ...],
    layer: str | None, share: float | None, forced: tuple[str, ...], by: str | None, note: str, at: str | None,
    dry_run: bool, output: str,
) -> None:  # fmt: skip
    """Begin an experiment, or change its ratios: only slots that must change their owner do. A+B2 interleaves two.

    \b
    Example:
      es-ranking experiment ratios set products ranking A=0.9 B2=0.1 --by ann --dry-run
      es-ranking experiment ratios set products ranking A=0.5 B2=0.5 --by ann --note "looks good"
      es-ranking experiment ratios set products ranking --force tester1=B2 --by ann
      es-ranking experiment ratios set products duel A+B2=1 --by ann
    """
    from es_ranking.experiments.edit import forcing, with_ratios

    store = experiments_of(index)
    before = after = document_of(store)
    if shares:
        told = {variant: _share(text, text=shares) for variant, text in map(_pair, shares)}
        after = with_ratios(
            after, name, told, control=control, unit=unit, surfaces=surfaces, layer=layer, share=share
        )  # fmt: skip
        _check(store, index, list(told))
    elif not forced:
        raise UsageError("which ratios?", where="VARIANT=SHARE", hint="A=0.9 B2=0.1")
    if forced:
        testers = {user: variant or None for user, variant in map(_pair, forced)}
        after = forcing(after, name, testers)
        _check(store, index, [variant for variant in testers.values() if variant])
    _change(store, before, after, by=by, note=note, at=at, dry_run=dry_run, output=output)


@group.command(name="kill")
@click.argument("index")
@click.argument("name")
@click.option("--undo", is_flag=True, help="Go on where it stood.")
@change_options
@output_option
def kill(
    index: str, name: str, undo: bool, by: str | None, note: str, at: str | None, dry_run: bool, output: str
) -> None:
    """Give everybody the control, testers too, within seconds; nothing is counted any more.

    \b
    Example:
      es-ranking experiment ratios kill products ranking --by ann --note "B2 shows sold-out items"
    """
    from es_ranking.experiments.edit import killed

    store = experiments_of(index)
    before = document_of(store)
    after = killed(before, name, undo=undo)
    _change(store, before, after, by=by, note=note, at=at, dry_run=dry_run, output=output)


@group.command(name="end")
@click.argument("index")
@click.argument("name")
@change_options
@output_option
def end(index: str, name: str, by: str | None, note: str, at: str | None, dry_run: bool, output: str) -> None:
    """End an experiment: everybody gets the surface's or the index's variant.

    \b
    Example:
      es-ranking experiment ratios end products ranking --by ann --note "B2 won"
    """
    from es_ranking.experiments.edit import ended

    store = experiments_of(index)
    before = document_of(store)
    _change(store, before, ended(before, name), by=by, note=note, at=at, dry_run=dry_run, output=output)


@group.command(name="hold-out")
@click.argument("index")
@click.argument("share", type=click.FloatRange(0, 1))
@click.option("--variant", metavar="V", help="What they get; the index's default otherwise.")
@change_options
@output_option
def hold_out(
    index: str, share: float, variant: str | None, by: str | None, note: str, at: str | None, dry_run: bool, output: str
) -> None:
    """Keep a SHARE of all users out of every experiment.

    \b
    Example:
      es-ranking experiment ratios hold-out products 0.05 --variant A --by ann
    """
    from es_ranking.experiments.edit import holding_out

    store = experiments_of(index)
    before = document_of(store)
    after = holding_out(before, share, variant=variant)
    _check(store, index, [variant] if variant else [])
    _change(store, before, after, by=by, note=note, at=at, dry_run=dry_run, output=output)


def _change(
    store: ExperimentStore, before: Experiments, after: Experiments, *, by: str | None, note: str,
    at: str | None, dry_run: bool, output: str,
) -> None:  # fmt: skip
    from es_ranking.experiments.edit import slots_moved

    version = store.next(after, by=who(by), at=when(at), note=note)
    if not dry_run:
        store.put(version)
    emit_version(version, output, slots_moved=slots_moved(before, after), stored=not dry_run)


def _check(store: ExperimentStore, index: str, variants: list[str]) -> None:
    """The serving generation ranks for these variants; one that it does not is a mistake of the keyboard."""
    from es_ranking.publish.generation import serving_meta

    known = serving_meta(store.engine, index).rank_fields
    for variant in (team for named in variants for team in teams_of(named)):
        if variant not in known:
            raise UsageError.unknown("variant", variant, known, where=index)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.rpartition("=")
    if not sign or not name:
        raise UsageError(f"not NAME=VALUE: {text!r}", hint="A=0.9")
    return name, value


def _share(value: str, *, text: tuple[str, ...]) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise UsageError(f"not a number: {value!r}", where=" ".join(text), hint="A=0.9 B2=0.1") from error


def experiments_of(index: str) -> ExperimentStore:
    """The experiments of what serves under this name."""
    from es_ranking.experiments.store import ExperimentStore

    return store_of(ExperimentStore, index)


def document_of(store: ExperimentStore) -> Experiments:
    """Those in force."""
    from es_ranking.experiments.document import Experiments

    latest = store.latest()
    return latest.read() if latest is not None else Experiments()
