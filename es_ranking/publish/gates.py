"""Gates before the switch: each looks at the written generation and says yes, or what is wrong and where to look.

A new gate is one function and one line in `GATES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from es_ranking.engine.contract import Engine
from es_ranking.publish.difference import first_places
from es_ranking.publish.plan import PublishPlan
from es_ranking.publish.sample import by_seed
from es_ranking.publish.settings import GateSettings
from es_ranking.schema import mapped_ranks, rank_field
from segments.errors import Refused

_FIELDS_A_REQUEST = 100
_SAMPLE, _FIRST = 1_000, 10_000
_LEAST_DRIFT = (0.005, 10.0)  # of the items, and items: less than either is no drift, whatever the ratio


@dataclass(frozen=True)
class Verdict:
    """What a gate found. `figure` is None where there was nothing to judge."""

    gate: str
    passed: bool
    figure: float | None
    says: str


@dataclass
class Gateway:
    """What gates look at.

    Attributes:
        figures: what the night knows and the engine does not, such as `calibration`.
        fields: every rank field of the new generation.
        shared: those that the serving generation has too.
    """

    engine: Engine
    plan: PublishPlan
    settings: GateSettings
    figures: Mapping[str, float] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)

    @property
    def index(self) -> str:
        return self.plan.generation

    @property
    def previous(self) -> str | None:
        return self.plan.replaces

    def aggregate(
        self, build: Callable[[str], dict[str, Any]], query: Mapping[str, Any] | None = None, *, first: int = 0
    ) -> dict[str, Any]:
        """One aggregation a rank field over the new generation, many in a request.

        Args:
            first: look at so many documents of each shard only; 0: at all.
        """
        found: dict[str, Any] = {}
        for start in range(0, len(self.fields), _FIELDS_A_REQUEST):
            chunk = self.fields[start : start + _FIELDS_A_REQUEST]
            body = {
                "size": 0,
                "query": query or {"match_all": {}},
                "aggs": {name.replace(".", "~"): build(name) for name in chunk},
                **({"terminate_after": first} if first else {}),
            }
            answer = self.engine.search(self.index, body, timeout_seconds=120.0)
            found.update({name.replace("~", "."): value for name, value in answer["aggregations"].items()})
        return found


def check_gates(
    engine: Engine, plan: PublishPlan, settings: GateSettings, figures: Mapping[str, float] | None = None
) -> list[Verdict]:
    """Runs every gate.

    Raises:
        Refused: names each gate that failed, its figure, and what to look at.
    """
    gateway = Gateway(engine, plan, settings, figures or {}, _fields(engine, plan.generation))
    if plan.replaces and engine.exists(plan.replaces):
        known = set(_fields(engine, plan.replaces))
        gateway.shared = [name for name in gateway.fields if name in known]
    verdicts = [gate(gateway) for gate in GATES.values()]
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if failed:
        raise Refused(
            f"{len(failed)} of {len(verdicts)} gates failed: {'; '.join(f'{v.gate}: {v.says}' for v in failed)}",
            where=plan.generation,
            hint=f"the limits are publish.gates; the previous ranks keep serving ({plan.replaces or 'none yet'})",
        )
    return verdicts


def verdict_rows(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """For reports."""
    return [asdict(verdict) for verdict in verdicts]


def coverage(gateway: Gateway) -> Verdict:
    """Share of available documents with each rank field; the worst field counts."""
    limit = gateway.settings.min_coverage
    query = {"term": {"available": True}}
    available = gateway.engine.count(gateway.index, query)
    if limit is None or not available:
        return Verdict("coverage", True, None, "nothing to judge")
    found = gateway.aggregate(lambda name: {"filter": {"exists": {"field": name}}}, query)
    worst = min(gateway.fields, key=lambda name: found[name]["doc_count"])
    share = found[worst]["doc_count"] / available
    says = f"{share:.1%} of {available} available documents have {worst}, {limit:.1%} must (look at the table ranks)"
    return Verdict("coverage", share >= limit, share, says)


def positive(gateway: Gateway) -> Verdict:
    """No score is zero or negative; the engine itself refuses infinite ones."""
    found = gateway.aggregate(lambda name: {"min": {"field": name}})
    lowest = {name: value["value"] for name, value in found.items() if value["value"] is not None}
    if not lowest:
        return Verdict("positive", False, None, "no document has any rank (look at the table ranks)")
    worst = min(lowest, key=lowest.__getitem__)
    says = f"the lowest score is {lowest[worst]:g} in {worst}, all must be above 0 (look at the step explore)"
    return Verdict("positive", lowest[worst] > 0.0, lowest[worst], says)


def spread(gateway: Gateway) -> Verdict:
    """A field whose scores are all the same orders nothing."""
    limit = gateway.settings.min_distinct_scores
    if limit is None or gateway.plan.documents < limit:
        return Verdict("spread", True, None, "nothing to judge")
    worst, distinct = "", 0
    # A good field shows enough of them at once; counting all scores of all fields costs more than all other gates.
    for first in (_FIRST, 0):
        found = gateway.aggregate(
            lambda name: {"cardinality": {"field": name, "precision_threshold": 100}}, first=first
        )
        worst = min(gateway.fields, key=lambda name: found[name]["value"])
        distinct = found[worst]["value"]
        if distinct >= limit:
            break
    says = (
        f"{worst} has {distinct} different scores, at least {limit} are needed (look at the model and the step score)"
    )
    return Verdict("spread", distinct >= limit, float(distinct), says)


def overlap(gateway: Gateway) -> Verdict:
    """How much of the serving generation's top N stays in the new top N, on average over the fields both have.

    Items that are gone from the new generation do not count: they were sold out, not misjudged.
    """
    limit, top = gateway.settings.min_overlap, gateway.settings.overlap_top
    if limit is None or not gateway.shared or gateway.previous is None:
        return Verdict("overlap", True, None, "nothing to judge")
    before, after = (
        [set(order) for order in first_places(gateway.engine, index, gateway.shared, size=top)]
        for index in (gateway.previous, gateway.index)
    )
    everyone = sorted(set().union(*before))
    there = gateway.engine.mget(gateway.index, everyone, source=["item_id"])
    alive = {item for item, document in zip(everyone, there, strict=True) if document is not None}
    shares = [len(old & new) / len(old & alive) for old, new in zip(before, after, strict=True) if old & alive]
    if not shares:
        return Verdict("overlap", True, None, "no item of the old top is left to compare")
    mean = sum(shares) / len(shares)
    says = f"{mean:.1%} of the serving top {top} stay there, {limit:.1%} must (look at the steps score and explore)"
    return Verdict("overlap", mean >= limit, mean, says)


def unseen(gateway: Gateway) -> Verdict:
    """Share of documents the serving generation does not have, from a sample drawn by a fixed seed."""
    limit = gateway.settings.max_unseen
    if limit is None or gateway.previous is None:
        return Verdict("unseen", True, None, "nothing to judge")
    body = {"size": _SAMPLE, "query": by_seed({"match_all": {}}), "_source": False}
    ids = [hit["_id"] for hit in gateway.engine.search(gateway.index, body)["hits"]["hits"]]
    known = gateway.engine.mget(gateway.previous, ids, source=["item_id"])
    share = sum(document is None for document in known) / max(1, len(ids))
    says = f"{share:.1%} of the ids are new to the shop, at most {limit:.1%} may be (look at the source of the items)"
    return Verdict("unseen", share <= limit, share, says)


def calibration(gateway: Gateway) -> Verdict:
    """Mean predicted over observed click rate, as the night measured it on held-out visits."""
    ratio = gateway.figures.get("calibration")
    low, high = gateway.settings.min_calibration, gateway.settings.max_calibration
    if ratio is None or low is None or high is None:
        return Verdict("calibration", True, ratio, "nothing to judge")
    says = f"predicted over observed is {ratio:.3f}, must be {low:g} to {high:g} (look at the report of the step train)"
    return Verdict("calibration", low <= ratio <= high, ratio, says)


def ece(gateway: Gateway) -> Verdict:
    """Expected calibration error: how far probabilities of any size are from the clicks, relative to the click rate."""
    says = "probabilities miss by {:.3f} of the click rate, at most {:g} may be (look at the step train)"
    return _at_most("ece", gateway.figures.get("ece"), gateway.settings.max_ece, says)


def segments(gateway: Gateway) -> Verdict:
    """Share of segments of which it is shown that they click more or less than their probabilities promise."""
    says = "{:.1%} of the segments are off, at most {:.1%} may be (look at `segments` in metrics.json)"
    return _at_most("segments", gateway.figures.get("segments_off"), gateway.settings.max_segments_off, says)


def lures(gateway: Gateway) -> Verdict:
    """The filter knew what operators have decided, and calls about as many items lures as for what serves."""
    limit, now = gateway.settings.max_lure_ratio, gateway.figures.get("lure_share")
    before = gateway.figures.get("lure_share_before")
    if gateway.figures.get("lure_decisions_read") == 0.0:
        says = "no engine answered when the night asked what operators have decided (run the step filter_lures again)"
        return Verdict("lures", False, now, says)
    if limit is None or now is None or before is None:
        return Verdict("lures", True, now, "nothing to judge")
    few, many = sorted((now, before))
    says = (
        f"{now:.2%} of the items are called lures, {before:.2%} were in what serves, {limit:g} times as many or as few "
        "may be (look at es-ranking lures review)"
    )
    share, items = _LEAST_DRIFT
    little = many - few <= share or (many - few) * gateway.plan.documents <= items
    return Verdict("lures", little or many <= limit * few, now, says)


GATES: dict[str, Callable[[Gateway], Verdict]] = {
    gate.__name__: gate for gate in (coverage, positive, spread, overlap, unseen, calibration, ece, segments, lures)
}


def _at_most(gate: str, figure: float | None, limit: float | None, says: str) -> Verdict:
    if limit is None or figure is None:
        return Verdict(gate, True, figure, "nothing to judge")
    return Verdict(gate, figure <= limit, figure, says.format(figure, limit))


def _fields(engine: Engine, index: str) -> list[str]:
    return [rank_field(*one) for one in mapped_ranks(engine.get_mapping(index))]
