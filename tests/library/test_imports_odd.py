"""Any JSON, any bytes and any damaged export is imported whole or refused in a sentence."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatterm.errors import UserError
from chatterm.library import Library
from chatterm.library.imports import read
from tests.library.chatgpt import DATED, chatgpt, node

KEYS = st.sampled_from(
    [
        "mapping", "message", "author", "role", "content", "parts", "content_type", "current_node", "parent",
        "chat_messages", "sender", "text", "uuid", "parent_message_uuid", "conv", "messages", "history",
        "chat", "currentId", "parentId", "conversations", "from", "value", "format", "version", "title",
        "created_at", "timestamp", "id", "a", "b",
    ]
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(
        [
            "user",
            "assistant",
            "human",
            "system",
            "a",
            "b",
            "text",
            "chatterm-conversations",
            "\ud800",
            "2024-01-01",
        ]
    )
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(JSON)
def test_any_json_is_imported_whole_or_refused_in_a_sentence(value: Any) -> None:
    take(json.dumps(value).encode())


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=60))
def test_any_bytes_are_imported_or_refused(data: bytes) -> None:
    take(data)


SEEDS = [
    chatgpt(q=node("root", "user", "hi"), b1=node("q", "assistant", "yo")),
    {"chat_messages": [{"uuid": "1", "sender": "human", "content": [{"type": "text", "text": "a"}]},
                       {"uuid": "2", "sender": "assistant", "text": "b", "parent_message_uuid": "1"}]},
    {"conv": {"currNode": "1"}, "messages": [{"id": "1", "role": "user", "content": "a", "parent": "0"}]},
    {"chat": {"history": {"currentId": "1", "messages":
        {"1": {"role": "user", "content": "a", "parentId": "2"}}}}},
    {"conversations": [{"from": "human", "value": "a"}]},
    {"format": "chatterm-conversations", "version": 1, "conversations": [
        {"title": "", "created": 1, "updated": 1, "chosen": 1, "messages": [
            {"id": 1, "parent": None, "role": "user", "content": "a", "created": 1, "chosen": 2},
            {"id": 2, "parent": 1, "role": "assistant", "content": "b", "created": 1,
             "sampling": {"seed": 1}}]}]},
]  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SEEDS), st.data())
def test_a_file_with_something_wrong_in_it(seed: Any, data: st.DataObject) -> None:
    """A good file in which one value is another."""
    value = json.loads(json.dumps(seed))
    here = value
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = data.draw(st.sampled_from(keys))
        inner = here[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            here[key] = data.draw(JSON)
            break
        here = inner
    take(json.dumps(value).encode())


def take(data: bytes) -> None:
    """All of it is in the library afterwards, or nothing and the error is a sentence."""
    with Library.in_memory() as library:
        try:
            found = read(data, "a.json", DATED)
            library.add_conversations(found.conversations)
        except UserError as error:
            assert library.conversations() == ()
            assert error.sentence.isprintable()
        else:
            assert len(library.conversations(limit=1_000)) == len(found.conversations)
            for conversation in library.conversations():
                assert library.whole(conversation.id).path
