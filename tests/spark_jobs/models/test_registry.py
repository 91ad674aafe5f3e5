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
        ({"kind": "fwfm", "dim": 10, "linear": "weights"}, 11 * V + 45 + 1),
        ({"kind": "fwfm", "dim": 10, "linear": "field_vectors"}, 10 * V + 100 + 45 + 1),
        ({"kind": "fwfm", "dim": 10, "linear": "feature_vectors"}, 20 * V + 45 + 1),
        ({"kind": "dnn", "dim": 10, **DEEP}, 10 * V + 364_001),
        ({"kind": "wide_deep", "dim": 10, **DEEP}, 11 * V + 364_001),
        ({"kind": "deepfm", "dim": 10, **DEEP}, 11 * V + 364_001),
        ({"kind": "deepfwfm", "dim": 10, "linear": "weights", **DEEP}, 11 * V + 45 + 364_001),
        ({"kind": "dcn", "dim": 10, "crosses": 3, **DEEP}, 10 * V + 600 + 363_600 + 501),
        ({"kind": "dcnv2", "dim": 10, "crosses": 4, **DEEP}, 10 * V + 40_400 + 363_600 + 501),
        ({"kind": "dcnv2", "dim": 10, "crosses": 4, "structure": "stacked", **DEEP}, 10 * V + 40_400 + 364_001),
        ({"kind": "dcnv2", "dim": 10, "crosses": 4, "rank": 5, **DEEP}, 10 * V + 4 * 1_100 + 363_600 + 501),
    ],
)
def test_parameters_are_counted_as_published(model: dict[str, object], count: int) -> None:
    sizes = [8] * 9 + [V - 9 * 10 - 2]
    schema = FieldSchema(fields=tuple(Field(name=f"f{i}", buckets=size) for i, size in enumerate(sizes)))
    network = build(model_settings(model), Encoder(schema), seed=1)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_published_totals() -> None:
    """The same sums as the papers' code prints them: LR, FM, FwFM, DeepFM, DCN, DCN-v2."""
    assert [V + 1, 11 * V + 1, 20 * V + 46] == [5_390, 59_280, 107_826]
    assert [11 * V + 364_001, 10 * V + 364_701, 10 * V + 404_501] == [423_280, 418_591, 458_391]


@pytest.mark.parametrize(("written", "kind"), [("DCN-v2", "dcnv2"), ("Wide & Deep", "wide_deep"), ("FwFM", "fwfm")])
def test_names_may_be_written_as_papers_write_them(written: str, kind: str) -> None:
    assert model_settings({"kind": written}).kind == kind


def test_unknown_models_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"known: .*deepfm"):
        model_settings({"kind": "deepfn"})
    with pytest.raises(UsageError, match="dims"):
        model_settings({"kind": "deepfm", "dims": 3})
