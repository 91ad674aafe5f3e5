from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from cli.models import group
from segments.errors import ContractBroken, UsageError
from spark_jobs.models.tabular import TabularSettings, fit_files, infer, read_table

KEYS = {"auc", "gauc", "logloss", "ece", "parameters", "epochs", "rows_per_second", "seconds"}


def table(n: int, seed: int) -> pa.Table:
    """Clicks that hang on a pair of ids and on a number; ids lie beyond what 32-bit floats hold."""
    random = np.random.default_rng(seed)
    user, item = random.integers(0, 30, n), random.integers(0, 40, n)
    price = random.gamma(2.0, 10.0, n)
    logit = np.where((user + item) % 2 == 0, 2.0, -2.0) - 0.03 * price
    return pa.table(
        {
            "click": (random.random(n) < 1.0 / (1.0 + np.exp(-logit))).astype(np.int64),
            "visit": random.integers(0, n // 15, n),
            "user_id": user + 2**24,
            "item": [f"i{k}" for k in item],
            "price": price,
            "stock": random.integers(0, 10_000, n),
        }
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tabular")
    for name, n in (("train", 12_000), ("valid", 3000)):
        pyarrow.csv.write_csv(table(n, seed=n), folder / f"{name}.csv")
    pyarrow.parquet.write_table(table(4000, seed=3), folder / "test.parquet")
    (folder / "config.yaml").write_text(
        "model: {dim: 8, hidden: [32]}\ntraining: {epochs: 12, batch_size: 256, learning_rate: 0.01, patience: 2}\n"
        "columns: {stock: ignore}\n"
    )
    return {"train": folder / "train.csv", "valid": folder / "valid.csv", "test": folder / "test.parquet"}


def test_command_prints_the_documented_keys(files: dict[str, Path]) -> None:
    arguments = ["fit", *(f"--{name}={path}" for name, path in files.items()), "--label=click", "--group=visit"]
    config = files["train"].parent / "config.yaml"
    result = CliRunner().invoke(group, [*arguments, f"--config={config}", "--output=json"], catch_exceptions=False)
    figures = json.loads(result.stdout)
    assert set(figures) >= KEYS
    assert figures["auc"] > 0.80
    assert figures["gauc"] > 0.78
    assert figures["ece"] < 0.08
    assert figures["columns"] == {"user_id": "categorical", "item": "categorical", "price": "numeric"}


@pytest.mark.parametrize("model", ["deepfm", "two_tower", "logistic"])
def test_every_model_fits_without_a_group(files: dict[str, Path], model: str) -> None:
    figures = fit_files(**files, label="click", group=None, model=model, config=None)
    assert figures["gauc"] is None
    assert isinstance(figures["auc"], float)
    assert figures["auc"] > (0.6 if model == "deepfm" else 0.52)


def test_what_a_file_does_not_say_keeps_the_defaults_of_fit() -> None:
    told = TabularSettings.of({"training": {"epochs": 3}}).training
    assert (told.epochs, told.optimizer, told.table_rate, told.patience) == (3, "auto", 0.01, 2)


def test_columns_are_inferred_by_type_and_repetition() -> None:
    n = 2000
    random = np.random.default_rng(1)
    columns = {
        "label": random.integers(0, 2, n),
        "text": [f"v{k % 5}" for k in range(n)],
        "flag": random.random(n) < 0.5,
        "few": random.integers(0, 9, n),
        "shop_id": random.integers(0, 500, n),
        "codes": random.integers(0, 180, n),
        "nearly_unique": np.arange(n),
        "amount": random.random(n),
    }
    schema = infer(pa.table(columns), label="label", group=None, settings=TabularSettings())
    assert {field.name: field.kind for field in schema.fields} == {
        "text": "categorical",
        "flag": "categorical",
        "few": "categorical",
        "shop_id": "categorical",
        "codes": "categorical",
        "codes#number": "numeric",
        "nearly_unique": "numeric",
        "amount": "numeric",
    }
    assert schema["text"].buckets == 1024
    assert schema["shop_id"].buckets == 8 * np.unique(columns["shop_id"]).size, "few of them share a row"
    assert {field.role for field in schema.fields} == {"user", "item"}, "two towers need two sides"


def test_what_cannot_be_meant_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lacks the columns lable"):
        fit_files(**files, label="lable", group=None, model="deepfm", config=None)
    with pytest.raises(UsageError, match="unknown model"):
        fit_files(**files, label="click", group=None, model="deepfn", config=None)
    with pytest.raises(ContractBroken, match="0 or 1"):
        fit_files(**files, label="visit", group=None, model="deepfm", config=None)
    with pytest.raises(ContractBroken, match="label of 0 and 1"):
        fit_files(**files, label="item", group=None, model="deepfm", config=None)
    (tmp_path / "c.yaml").write_text("columns: {prise: numeric}")
    with pytest.raises(UsageError, match="known: price"):
        fit_files(**files, label="click", group=None, model="deepfm", config=tmp_path / "c.yaml")
    (tmp_path / "broken.csv").write_text("a,b\n1\n")
    with pytest.raises(UsageError, match="cannot read"):
        read_table(tmp_path / "broken.csv")
    with pytest.raises(UsageError, match="neither CSV nor Parquet"):
        read_table(tmp_path / "c.yaml")
