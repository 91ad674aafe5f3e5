"""What commands print is what was said, whatever it holds."""

from __future__ import annotations

import pytest

from cli.output import emit


def test_square_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    emit([{"found": "request [/] [red]"}], "table", title="of [/]")
    assert capsys.readouterr().out.split() == ["of", "[/]", "found", "request", "[/]", "[red]"]
