"""What a field is worth to a trained model: how much gAUC falls when its column is shuffled (Breiman, 2001).

Shuffled across all rows, the column keeps its values and loses its meaning; the model is not trained again. A field
that another field repeats looks worth little by itself: an ablation says what the two are worth together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spark_jobs.evaluation.auc import gauc
from spark_jobs.evaluation.seeds import mean_interval
from spark_jobs.models.examples import Examples
from spark_jobs.models.training import Fitted, score_examples


def permutation_importance(
    fitted: Fitted, examples: Examples, *, repeats: int = 5, seed: int = 0, neutral_context: bool = True
) -> list[dict[str, Any]]:
    """One row a field, the most important first.

    Args:
        fitted: the model; the examples must be none it was trained on.
        examples: to judge by.
        repeats: shuffles of each field.
        seed: of the shuffles.
        neutral_context: score as a published rank must; context fields then have no importance.

    Returns:
        `field`, `role`, `drop` (mean fall of gAUC), `low` and `high` (t interval over repeats), `gauc` (unshuffled).
    """
    random = np.random.default_rng(seed)
    whole = _gauc(fitted, examples, neutral_context)
    found = []
    for field in fitted.encoder.schema.fields:
        drops = []
        for _ in range(repeats):
            order = random.permutation(len(examples))
            drops.append(whole - _gauc(fitted, _shuffled(fitted, examples, field.name, order), neutral_context))
        interval = mean_interval(drops)
        found.append(
            {
                "field": field.name,
                "role": field.role,
                "drop": interval.value,
                "low": interval.low,
                "high": interval.high,
                "gauc": whole,
            }
        )
    return sorted(found, key=lambda row: -row["drop"])


def _gauc(fitted: Fitted, examples: Examples, neutral_context: bool) -> float:
    return gauc(examples.label, score_examples(fitted, examples, neutral_context=neutral_context), examples.group)


def _shuffled(fitted: Fitted, examples: Examples, name: str, order: Any) -> Examples:
    encoder = fitted.encoder
    for place, field in enumerate(encoder.categorical):
        if field.name == name:
            rows = examples.rows.copy()
            rows[:, place] = rows[order, place]
            return replace(examples, rows=rows)
    for place, field in enumerate(encoder.numeric):
        if field.name == name:
            numbers = examples.numbers.copy()
            numbers[:, place] = numbers[order, place]
            return replace(examples, numbers=numbers)
    # A row's vectors are lines of one table: this field's part of the line is another row's, the rest its own.
    start = 0
    for field in encoder.vectors:
        if field.name == name:
            break
        start += field.width
    span = slice(start, start + encoder.schema[name].width)
    pairs, item = np.unique(np.stack([examples.item, examples.item[order]]), axis=1, return_inverse=True)
    vectors = examples.vectors[pairs[0]].copy()
    vectors[:, span] = examples.vectors[pairs[1], span]
    return replace(examples, vectors=vectors, item=item.reshape(-1).astype(np.int64))
