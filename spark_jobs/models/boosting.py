"""Growing the trees: out-of-fold rates, masks, sampling undone, and rank:ndcg with positions debiased.

A training row reads the rates of its values from the other folds of the visits, so that its own label is in none of
them. What sampling added to the log odds is the margin the trees begin from, as it is the offset of a network's loss.
Debiasing: Hu, Wang, Peng, Li, "Unbiased LambdaMART", WWW 2019, by xgboost's `lambdarank_unbiased`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segments.errors import UsageError
from segments.hashing import stir
from spark_jobs.models.boosted import CODES, Boosted, Trees, library
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.examples import Examples, Tensors
from spark_jobs.models.masks import Masks
from spark_jobs.models.training_settings import TrainingSettings

FOLDS = 5
BLOCK = 65_536  # rows whose features are in memory at once; xgboost keeps one byte a number

Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class Boosting:
    """One booster over one set of examples; a pass grows `trees_a_pass` trees."""

    def __init__(self, model: Boosted, encoder: Encoder, examples: Examples, settings: TrainingSettings) -> None:
        xgboost = library()
        trees = model.tail
        assert isinstance(trees, Trees)
        self.trees = trees
        if trees.booster is not None:
            # The rates its trees ask for are those of the examples they were grown on.
            raise UsageError("boosted trees are trained afresh, not continued", where="model", hint="kind: deepfm")
        self.model, self.steps, self.n = model, 0, len(examples)
        chosen = model.settings
        ranked = chosen.objective == "rank:ndcg"
        weight = np.ones(self.n) if settings.correction == "none" else 1.0 / examples.rate
        own = np.ones(self.n) if examples.weight is None else examples.weight / examples.weight.mean()
        mean = float(np.average(examples.label, weights=weight * own))
        model.start_at(float(np.log(mean / (1.0 - mean))))
        fold = (stir(examples.group.astype(np.uint64), salt=17) % np.uint64(FOLDS)).astype(np.int64)
        coded, folds = self._codes(encoder, examples, weight * own, mean=mean, fold=fold)
        model.get_buffer("coded").copy_(torch.from_numpy(coded[-1]))
        order = np.argsort(examples.group, kind="stable")
        if chosen.position is not None:
            order = np.lexsort((_places(chosen.position, encoder, examples), examples.group))
        blocks = _Blocks(model, encoder, settings, examples=examples.where(order), fold=fold[order])
        blocks.coded = torch.from_numpy(folds)
        margin = np.full(self.n, model.get_buffer("start").item(), dtype=np.float32)
        if settings.correction == "offset":
            margin += examples.offset()
        blocks.extra = {"label": examples.label[order]}
        if ranked:
            blocks.extra["qid"] = np.unique(examples.group, return_inverse=True)[1][order]
            blocks.extra["weight"] = own[order]
        else:
            blocks.extra["base_margin"] = margin[order]
            each = weight / weight.mean() if settings.correction == "weights" else 1.0
            blocks.extra["weight"] = (each * own)[order]
        threads = settings.threads or torch.get_num_threads()
        self.data = _quantised(xgboost, blocks, threads)
        self.booster = xgboost.Booster(_parameters(model, settings, threads), [self.data])

    @property
    def serving(self) -> Boosted:
        """The model with the trees grown so far."""
        return self.model

    def epoch(self) -> dict[str, float]:
        """Grows one pass of trees; the loss is that of the training rows, 1 − NDCG@10 for rank:ndcg."""
        started = time.perf_counter()
        for _ in range(self.model.settings.trees_a_pass):
            self.booster.update(self.data, self.steps)
            self.steps += 1
        told = float(str(self.booster.eval(self.data)).rsplit(":", 1)[1])
        self.trees.booster = self.booster.copy()
        seconds = time.perf_counter() - started
        loss = 1.0 - told if self.model.settings.objective == "rank:ndcg" else told
        return {"train_loss": loss, "rows_per_second": self.n / seconds, "seconds": seconds}

    def _codes(
        self, encoder: Encoder, examples: Examples, weight: Doubles, *, mean: float, fold: Longs
    ) -> tuple[Floats, Floats]:
        """((1, rows, 3) of all examples, (FOLDS, rows, 3) each without its own fold)."""
        settings = self.model.settings
        rows = encoder.layout.table_rows
        clicks, shown = np.zeros((FOLDS, rows)), np.zeros((FOLDS, rows))
        for f, field in enumerate(encoder.categorical):
            first, size = int(encoder.out_of_vocabulary[f]), field.buckets + 2
            place = fold * size + (examples.rows[:, f].astype(np.int64) - first)
            for counts, each in ((clicks, examples.label * weight), (shown, weight)):
                counts[:, first : first + size] = np.bincount(place, each, FOLDS * size).reshape(FOLDS, size)
        category = np.full(rows, np.nan)
        for f, field in enumerate(encoder.categorical):
            first = int(encoder.out_of_vocabulary[f])
            met = first + np.flatnonzero(encoder.seen[first : first + field.buckets + 2])
            if len(met) - 2 <= settings.most_categories:
                category[met] = np.arange(len(met))
        hidden = encoder.neutral.tolist()
        if settings.position is not None:
            for f in (f for f, field in enumerate(encoder.categorical) if field.name == settings.position):
                first = int(encoder.out_of_vocabulary[f])
                hidden += range(first, first + encoder.categorical[f].buckets + 2)

        def coded(clicks: Doubles, shown: Doubles, scale: float) -> Floats:
            rate = (clicks + settings.prior_clicks) / (shown + settings.prior_clicks / mean)
            rate = np.clip(rate, 1e-9, 1.0 - 1e-9)
            found = np.stack(
                [np.log(rate / (1.0 - rate)), np.log1p(scale * shown), np.broadcast_to(category, shown.shape)], axis=-1
            )
            found[..., hidden, :] = np.nan
            return found.astype(np.float32)

        others = FOLDS / (FOLDS - 1.0)
        all_clicks, all_shown = clicks.sum(0), shown.sum(0)
        return coded(all_clicks, all_shown, 1.0)[None], coded(all_clicks - clicks, all_shown - shown, others)


class _Blocks:
    """Feature rows of the examples, block by block, each with its masks: the same ones at every call."""

    coded: torch.Tensor
    extra: dict[str, NDArray[Any]]

    def __init__(
        self, model: Boosted, encoder: Encoder, settings: TrainingSettings, *, examples: Examples, fold: Longs
    ) -> None:
        self.model, self.settings = model, settings
        self.data, self.masks = Tensors(examples, encoder), Masks(encoder, settings)
        self.fold = torch.from_numpy(fold)
        position = model.settings.position
        self.unread = [f for f, field in enumerate(encoder.numeric) if field.name == position]
        self.kinds = ["q"] * model.width
        for f, first in enumerate(encoder.out_of_vocabulary.tolist()):
            if not np.isnan(model.get_buffer("coded")[first, CODES - 1].item()):
                self.kinds[CODES * f + CODES - 1] = "c"
        # A visit stays in one block.
        group = examples.group
        starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
        wanted = starts[np.searchsorted(starts, np.arange(0, len(group), BLOCK), side="right") - 1]
        self.borders = np.unique(np.r_[wanted, len(group)]).tolist()

    def __len__(self) -> int:
        return len(self.borders) - 1

    def block(self, number: int) -> dict[str, Any]:
        """What xgboost is given of one block."""
        rows = slice(self.borders[number], self.borders[number + 1])
        random = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + number)
        batch = self.masks(self.data.batch(rows), random)
        numeric = batch.numeric.clone()
        numeric[:, self.unread] = 0.0
        batch, fold = batch._replace(numeric=numeric), self.fold[rows]
        layout = self.model.layout
        item, viewer = (self.model.features(batch, side, self.coded, fold) for side in (layout.item, layout.viewer))
        extra = {name: values[rows] for name, values in self.extra.items()}
        if "qid" in extra:
            # A list counts as a whole: xgboost asks for one weight a list.
            _, of = np.unique(extra["qid"], return_inverse=True)
            extra["weight"] = np.bincount(of, extra["weight"]) / np.bincount(of)
        return {"data": (item + viewer).numpy(), "feature_types": self.kinds, **extra}


def _quantised(xgboost: Any, blocks: _Blocks, threads: int) -> Any:
    """The rows as xgboost keeps them, 256 bins a column."""

    class Iterator(xgboost.DataIter):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.number = 0

        def next(self, input_data: Callable[..., None]) -> bool:
            if self.number == len(blocks):
                return False
            input_data(**blocks.block(self.number))
            self.number += 1
            return True

        def reset(self) -> None:
            self.number = 0

    return xgboost.QuantileDMatrix(Iterator(), enable_categorical=True, nthread=threads)


def _parameters(model: Boosted, settings: TrainingSettings, threads: int) -> dict[str, Any]:
    chosen = model.settings
    ranked = chosen.objective == "rank:ndcg"
    found: dict[str, Any] = {
        "objective": chosen.objective,
        "eval_metric": "ndcg@10" if ranked else "logloss",
        "base_score": 0.0 if ranked else 0.5,
        "tree_method": "hist",
        "max_depth": chosen.depth,
        "eta": chosen.rate,
        "min_child_weight": chosen.least_weight,
        "lambda": chosen.l2,
        "subsample": chosen.rows,
        "colsample_bytree": chosen.columns,
        "seed": settings.seed,
        "nthread": threads,
        "verbosity": 0,
    }
    if ranked:
        # Hessians of pairs are many times smaller than those of rows.
        found |= {"lambdarank_pair_method": "topk", "min_child_weight": min(chosen.least_weight, 0.1)}
        found |= {"lambdarank_unbiased": chosen.position is not None, "lambdarank_num_pair_per_sample": 20}
    return found


def _places(name: str, encoder: Encoder, examples: Examples) -> Doubles:
    """What sorts a visit's rows by where they stood: the number itself, or less the click rate of the place.

    Raises:
        UsageError: no context field of that name.
    """
    for f, field in enumerate(encoder.numeric):
        if field.name == name:
            return np.nan_to_num(examples.numbers[:, f].astype(np.float64), nan=np.inf)
    for f, field in enumerate(encoder.categorical):
        if field.name == name:
            place, seen = np.unique(examples.rows[:, f], return_inverse=True)
            shown = np.bincount(seen, 1.0 / examples.rate, len(place))
            return -(np.bincount(seen, examples.label, len(place)) / shown)[seen]
    raise UsageError.unknown("field", name, [field.name for field in encoder.schema.of_role("context")])
