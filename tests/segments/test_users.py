"""Users and their segments as JSON lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segments.errors import ContractBroken, UsageError
from segments.users import UserSegmentsInMemory, read_users, write_users


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3), max_size=8))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, users: dict[str, dict[str, str]]) -> None:
    file = tmp_path_factory.mktemp("users") / "users.jsonl"
    assert write_users(file, users.items()) == len(users)
    read = read_users(file)
    assert len(read) == len(users)
    assert {user: read.resolve(user) for user in users} == users
    assert [path.name for path in file.parent.iterdir()] == ["users.jsonl"], "nothing half-written is left"


def test_a_stranger_has_no_segments() -> None:
    assert UserSegmentsInMemory({}).resolve("nobody") == {}


@pytest.mark.parametrize("line", ["{", "[]", '{"user": "a"}', '{"user": "a", "segments": 3}'])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "users.jsonl"
    file.write_text('{"user": "a", "segments": {}}\n' + line + "\n")
    with pytest.raises(ContractBroken, match=r"users\.jsonl:2"):
        read_users(file)


def test_a_missing_file_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="segments fit"):
        read_users(tmp_path / "none.jsonl")


def test_a_crash_while_writing_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    write_users(file, [("a", {"brand": "b_00"})])

    def breaks() -> object:
        yield "b", {}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_users(file, breaks())  # type: ignore[arg-type]
    assert read_users(file).resolve("a") == {"brand": "b_00"}
