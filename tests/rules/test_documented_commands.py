"""Every command teaches by its help, and every door that exists stands in the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli.main import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCS = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{name} is listed but cannot be loaded"
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = list(_commands(main))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_help_has_an_example_and_the_docs_name_it(path: tuple[str, ...], command: click.Command) -> None:
    shown = CliRunner().invoke(main, [*path, "--help"])
    assert shown.exit_code == 0
    assert f"es-ranking {' '.join(path)}" in shown.output, "no example in the help"
    assert f"es-ranking {' '.join(path)}" in DOCS, "neither README nor docs/ show this command"
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert all(option.help for option in options), "option without help"


def test_unknown_command_is_wrong_usage() -> None:
    from cli.main import exit_code_of

    assert exit_code_of(["nonsense"]) == 2


def test_help_loads_no_batch_library() -> None:
    """`es-ranking --help` works in the bare install, in a blink."""
    import subprocess
    import sys

    code = (
        "import sys\nfrom cli.main import exit_code_of\nassert exit_code_of(['--help']) == 0\n"
        "heavy = {'torch', 'pyspark', 'xgboost', 'pandas', 'sklearn', 'elasticsearch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
