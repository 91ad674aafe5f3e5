"""Parameter counts of the family as published: 10 fields, 5,389 rows of the table, embeddings of 10, 400-400-400."""

from __future__ import annotations

import pytest

from segments.errors import UsageError
from spark_jobs.fields import Field, FieldSchema
from spark_jobs.models.encoding import Encoder
from spark_jobs.models.registry import build, model_settings

V = 5_389
DEEP = {"hidden": [400, 400, 400], "batch_norm": True}  # 363,600, and 401 for its last layer and the constant


@pytest.mark.parametrize(
    ("model", "count"),
    [
        ({"kind": "logistic"}, V + 1),
        ({"kind": "fm", "dim": 10}, 11 * V + 1),
        ({"kind": "deepfm", "dim": 10, **DEEP}, 11 * V + 364_001),
    ],
)
def test_parameters_are_counted_as_published(model: dict[str, object], count: int) -> None:
    sizes = [8] * 9 + [V - 9 * 10 - 2]
    schema = FieldSchema(fields=tuple(Field(name=f"f{i}", buckets=size) for i, size in enumerate(sizes)))
    network = build(model_settings(model), Encoder(schema), seed=1)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_unknown_models_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"known: .*deepfm"):
        model_settings({"kind": "deepfn"})
    with pytest.raises(UsageError, match="dims"):
        model_settings({"kind": "deepfm", "dims": 3})
