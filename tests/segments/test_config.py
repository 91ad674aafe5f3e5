"""Strict settings: what is misspelt is refused, what is read prints back."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from segments.config import Settings, read_yaml
from segments.errors import UsageError


class Inner(Settings):
    size: int = Field(default=3, ge=1)


class Outer(Settings):
    name: str
    inner: Inner = Inner()
    parts: tuple[str, ...] = ("a",)


def test_reads_yaml_and_prints_it_back(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("name: größe\ninner: {size: 5}\n", encoding="utf-8")
    read = Outer.read(file)
    assert (read.name, read.inner.size, read.parts) == ("größe", 5, ("a",))
    file.write_text(read.to_yaml(), encoding="utf-8")
    assert Outer.read(file) == read


def test_every_wrong_key_is_named_with_its_path(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("naem: x\ninner: {size: 0}\n")
    with pytest.raises(UsageError) as caught:
        Outer.read(file)
    message = str(caught.value)
    assert str(file) in message
    assert all(part in message for part in ("naem", "name", "inner.size"))


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Outer(name="x").name = "y"  # type: ignore[misc]


def test_variables_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("name: ${SHOP_NAME}\ninner: {size: '${SHOP_SIZE:7}'}\n")
    monkeypatch.setenv("SHOP_NAME", "corner")
    monkeypatch.delenv("SHOP_SIZE", raising=False)
    assert read_yaml(file) == {"name": "corner", "inner": {"size": "7"}}
    monkeypatch.delenv("SHOP_NAME")
    with pytest.raises(UsageError, match="SHOP_NAME is not set"):
        read_yaml(file)


@pytest.mark.parametrize(("text", "what"), [("a: [1", "not valid YAML"), ("- 1", "must hold a mapping")])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=what):
        read_yaml(file)


def test_an_empty_file_is_empty_and_a_missing_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("")
    assert read_yaml(tmp_path / "a.yaml") == {}
    with pytest.raises(UsageError, match=r"none\.yaml"):
        read_yaml(tmp_path / "none.yaml")
