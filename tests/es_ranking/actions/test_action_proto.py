"""action.proto is the source of truth; the classes beside it must be the ones it describes."""

from __future__ import annotations

import re
from importlib.resources import files

from es_ranking.actions import action_pb2

FIELD = re.compile(r"^\s*(\w+)\s+(\w+)\s*=\s*(\d+);", re.MULTILINE)


def test_the_classes_are_those_of_the_proto_file() -> None:
    text = files("es_ranking.actions").joinpath("action.proto").read_text(encoding="utf-8")
    (message,) = re.findall(r"message (\w+) \{(.*?)\}", text, re.DOTALL)
    descriptor = action_pb2.DESCRIPTOR.message_types_by_name[message[0]]
    assert re.search(r"package ([\w.]+);", text)[1] == action_pb2.DESCRIPTOR.package
    assert 'syntax = "proto3";' in text
    declared = {(name, int(number), kind) for kind, name, number in FIELD.findall(message[1])}
    types = {descriptor.fields[0].TYPE_STRING: "string"}
    assert declared == {(field.name, field.number, types[field.type]) for field in descriptor.fields}
    assert len(action_pb2.DESCRIPTOR.message_types_by_name) == len(re.findall(r"^message ", text, re.MULTILINE))


def test_bytes_are_stable() -> None:
    """Members written by an older version must stay the same bytes: else an event would count twice."""
    message = action_pb2.Action(event_id="e1", item="i1", kind="view")
    assert message.SerializeToString(deterministic=True) == b"\n\x02e1\x12\x02i1\x1a\x04view"
