"""Off-policy evaluation of a policy file by a log with propensities: what would it have earned?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segments.errors import ContractBroken, Refused
from segments.hashing import stir
from spark_jobs.evaluation.bootstrap import Interval
from spark_jobs.evaluation.ope.estimate import Judge
from spark_jobs.evaluation.ope.registry import ESTIMATORS
from spark_jobs.evaluation.ope.reward_model import RewardModel
from spark_jobs.evaluation.ope.rounds import Rounds
from spark_jobs.ope_files import BATCH_ROWS, CLUSTER, Log, find, read_log, read_policy

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

FOLDS = 5
MOST_CLUSTERS = 1000  # without run and segment, requests are put into this many by the hash of their id


def evaluate(
    log: Path, policy: Path, *, context: Sequence[str] = (), embedding: Sequence[str] = (), unsupported: float = 0.01,
    draws: int = 1000, seed: int = 0, batch_rows: int = BATCH_ROWS,
) -> dict[str, Any]:  # fmt: skip
    """Estimates of every estimator that fits the log, with intervals; keys stand in docs/evaluation.md.

    Args:
        log: rows of `request_id, item, position, reward, propensity`, with `run` and `segment` where there are any.
        policy: rows of `request_id, item, position, probability`, all places of all requests of the log.
        context: columns of the log that the reward model tells apart, beside `segment`.
        embedding: columns of the log that say what kind of item was shown, for `mips`, which is left out without them.
        unsupported: largest share of the policy's probability on items that the log never shows in that place; within
            a segment the same share is refused where the mean weight, too, is below 1 (chance alone can leave out an
            item that was possible).
        draws: bootstrap resamples.
        seed: of the draws.
        batch_rows: rows read at once.

    Raises:
        UsageError: a file cannot be read.
        ContractBroken: the files do not hold what they promise.
        Refused: nothing can be concluded: an empty log, no reward, too few clusters, or too little support.
    """
    logged = read_log(log, [*dict.fromkeys([*context, *embedding])], batch_rows=batch_rows)
    if not logged.reward.size:
        raise Refused("the log is empty", where=str(log))
    if not logged.reward.any():
        raise Refused("the log has no reward at all: every estimate would be 0", where=str(log))
    by = [name for name in CLUSTER if name in logged.labels]
    rounds, unseen = _together(logged, policy, context, embedding, batch_rows)
    judge = Judge(rounds, _clusters(logged, by), draws=draws, seed=seed)
    rows, positions, uneven = logged.reward.size, logged.places.size, bool(np.ptp(logged.propensity) > 0.01)
    del logged  # what is not needed any more is memory
    weight = judge.mean_weight
    share = unseen["log"] if unseen["log"] > unsupported or weight.high >= 1.0 else unseen["segment"]
    if share > unsupported:
        raise Refused(
            f"the policy puts {share:.1%} of its probability on items that the log never shows there",
            where=str(policy),
            hint=f"at most {unsupported:.1%} is concluded from; explore these items first",
        )
    several = positions > 1
    names = [
        name
        for name, each in ESTIMATORS.items()
        if (each.lists if several else each.slot) and getattr(rounds, each.needs) is not None
    ]
    found = {name: judge.estimate(name) for name in names}
    return {
        "rows": int(rows),
        "requests": rounds.requests,
        "positions": int(positions),
        "clusters": judge.clusters,
        "cluster_by": by or ["request_id"],
        "unsupported": unseen,
        "mean_weight": _bounds(weight),
        "logged": _bounds(judge.logged),
        "estimators": {
            name: {
                **_bounds(each.interval),
                "gain": _bounds(each.gain),
                "effective_sample_size": each.effective,
                "largest_weight": each.largest,
                "threshold": None if each.threshold is None or np.isinf(each.threshold) else each.threshold,
            }
            for name, each in found.items()
        },
        "warnings": _warnings(
            weight, by, unseen["segment"] if unseen["segment"] > unsupported else None, uneven=uneven and not several
        ),
    }


def _together(
    log: Log, policy: Path, context: Sequence[str], embedding: Sequence[str], batch_rows: int
) -> tuple[Rounds, dict[str, float]]:
    """The rounds; and the share of the policy's probability on what the log (or segment) never shows in that place."""
    fold = np.asarray(stir(log.requests, 1) % np.uint64(FOLDS), dtype=np.int8)[log.request]
    segments = [name for name in ("segment",) if name in log.labels]
    told_apart = [*dict.fromkeys([*segments, *context])]
    segment = log.keys(segments)
    told = segment if told_apart == segments else log.keys(told_apart)

    def levels(row: I64 | slice, item: U64) -> tuple[I64, I64, I64]:
        """Keys of the place; the item there; the item there in that context."""
        place = log.place[row]
        shown = stir(item + stir(place.astype(np.uint64)))
        return place, shown.view(np.int64), stir(shown ^ told[row]).view(np.int64)

    own = levels(slice(None), log.item)
    model = RewardModel(own, fold, log.reward, folds=FOLDS)
    batches = [slice(begin, begin + batch_rows) for begin in range(0, log.item.size, batch_rows)]
    predicted = np.concatenate([model.predict((own[0][b], own[1][b], own[2][b]), fold[b]) for b in batches])
    shown = {"log": np.unique(own[1]), "segment": np.unique(stir(own[1].view(np.uint64) + segment).view(np.int64))}
    del own
    unseen = dict.fromkeys(shown, 0.0)
    # Rows alike in place, context and fold are predicted once a batch.
    alike = log.keys(told_apart) ^ stir((log.place * FOLDS + fold).astype(np.uint64))
    _, one, alike = np.unique(alike, return_index=True, return_inverse=True)
    chance, expected, total = (np.zeros(log.item.size) for _ in range(3))
    hits = np.zeros(log.item.size, dtype=np.int16)
    for some in read_policy(policy, log, batch_rows=batch_rows):
        pairs, pair = np.unique(alike[some.row] * some.items.size + some.code, return_inverse=True)
        row, item = one[pairs // some.items.size], some.items[pairs % some.items.size]
        keys = levels(row, item)
        np.add.at(total, some.row, some.probability)
        np.add.at(expected, some.row, some.probability * model.predict(keys, fold[row])[pair])
        same = np.flatnonzero(log.item[some.row] == some.items[some.code])
        np.add.at(chance, some.row[same], some.probability[same])
        np.add.at(hits, some.row[same], 1)
        there = {"log": keys[1], "segment": stir(keys[1].view(np.uint64) + segment[row]).view(np.int64)}
        for name, known in shown.items():
            unknown = find(known, there[name]) < 0
            unseen[name] += float(some.probability[unknown[pair]].sum()) / log.item.size
    wrong = np.abs(total - 1.0) > 1e-3
    if wrong.any():
        raise ContractBroken(
            f"the probabilities of {int(wrong.sum())} of {log.item.size} logged places do not sum to 1, "
            f"such as {total[wrong][0]:g}",
            where=str(policy),
            hint="every request of the log needs every place, each item once",
        )
    if hits.max() > 1:
        raise ContractBroken("an item has two rows for one place of a request", where=str(policy))
    cell = _cells(log, [*dict.fromkeys([*told_apart, *embedding])]) if embedding else None
    return Rounds(log.request, log.reward, chance / log.propensity, predicted, expected, chance, cell), unseen


def _cells(log: Log, columns: Sequence[str]) -> I64:
    """(rows,) number of each row's place and labels."""
    keys = log.keys(columns) ^ stir(log.place.astype(np.uint64))
    return np.asarray(np.unique(keys, return_inverse=True)[1], dtype=np.int64)


def _clusters(log: Log, by: Sequence[str]) -> I64:
    """(requests,) cluster of each request, by the labels of its first row."""
    if by:
        first = np.flatnonzero(np.r_[True, np.diff(log.request) > 0])
        keys = log.keys(by)[first]
    elif log.requests.size <= MOST_CLUSTERS:
        keys = log.requests
    else:
        keys = stir(log.requests, 3) % np.uint64(MOST_CLUSTERS)
    return np.asarray(np.unique(keys, return_inverse=True)[1], dtype=np.int64)


def _warnings(weight: Interval, by: Sequence[str], unseen: float | None, *, uneven: bool) -> list[str]:
    said = []
    if uneven:
        said.append("replay takes every item to be shown equally often, which in this log they are not")
    if not by:
        said.append("no columns run and segment: requests count as independent, though those of a segment share a draw")
    if unseen is not None:
        said.append(f"{unseen:.1%} of the policy's probability is on items that their segment never shows in the log")
    if abs(weight.value - 1.0) > 2.0 * (weight.high - weight.value) + 1e-6:
        said.append(
            f"the mean weight is {weight.value:.3f}, not 1: propensities are wrong, or the log lacks support "
            "that the policy needs"
        )
    return said


def _bounds(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
