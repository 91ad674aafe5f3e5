"""The house rules, as programs: import direction, file size, lint, types, banned names."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("segments", "es_ranking", "spark_jobs", "cli")
SOURCES = [path for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py")) if not path.stem.endswith("_pb2")]
BANNED = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def _tool(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"


def test_imports_point_one_way() -> None:
    script = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([script, "--no-logo", "--config", "setup.cfg", "--no-cache"], cwd=ROOT, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]


def test_ruff_is_clean() -> None:
    _tool("ruff", "check", "--no-cache", ".")


def test_format_is_clean() -> None:
    _tool("ruff", "format", "--no-cache", "--check", ".")


def test_types_are_strict() -> None:
    _tool("mypy")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_thing_one_file(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 300, f"{lines} lines: two names would say more"
    assert path.stem not in BANNED


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), "no module docstring"


def test_every_file_of_a_floor_is_a_thing_with_a_test_or_a_step() -> None:
    """No test file imports a module that does not exist any more (a deleted thing takes its test along)."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in FLOORS:
                module = ROOT / Path(*node.module.split("."))
                assert module.with_suffix(".py").is_file() or (module / "__init__.py").is_file(), (path, node.module)
