# Built from action.proto; tests/es_ranking/actions/test_action_proto.py holds the two together.
"""The protocol buffer classes of action.proto."""

from google.protobuf import descriptor_pool, symbol_database
from google.protobuf.internal import builder

DESCRIPTOR = descriptor_pool.Default().AddSerializedFile(
    b'\n\x1fes_ranking/actions/action.proto\x12\x12es_ranking.actions"6\n\x06Action\x12\x10\n\x08event_id\x18\x01 \x01(\t\x12\x0c\n\x04item\x18\x02 \x01(\t\x12\x0c\n\x04kind\x18\x03 \x01(\tb\x06proto3'
)

builder.BuildMessageAndEnumDescriptors(DESCRIPTOR, globals())
builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, "es_ranking.actions.action_pb2", globals())
symbol_database.Default()
