"""Whole conversations out of one library and into another, without loss."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from documents import conversations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatterm import inert
from chatterm.errors import UserError
from chatterm.library import Library, Token
from chatterm.library.document import ConversationDocument, Document, MessageDocument
from chatterm.library.exports import export
from chatterm.library.imports import Imported, read
from chatterm.sampling import SamplingParameters

ROOT = Path(__file__).resolve().parents[2]
MakeTokens = Callable[[Sequence[str]], list[Token]]


def exported(library: Library) -> str:
    ids = [c.id for c in library.conversations(limit=1_000)]
    return export([library.whole(number) for number in sorted(ids)], "json")


def imported(library: Library, text: str) -> Imported:
    found = read(text.encode(), "a.json", 0.0)
    library.add_conversations(found.conversations)
    return found


def message(number: int, parent: int | None, content: str = "", **more: Any) -> MessageDocument:
    return MessageDocument(
        id=number, parent=parent, role=more.pop("role", "user"), content=content, created=1.0, **more
    )


def conversation(*messages: MessageDocument, chosen: int | None = 1, **more: Any) -> ConversationDocument:
    facts = {"title": "", "created": 1.0, "updated": 1.0} | more
    return ConversationDocument(chosen=chosen, messages=messages, **facts)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(conversations(), min_size=1, max_size=3))
def test_export_import_export_is_identical(documents: list[ConversationDocument]) -> None:
    with Library.in_memory() as first, Library.in_memory() as second:
        first.add_conversations(documents)
        text = exported(first)
        assert imported(second, text).kind == "chatterm"
        assert exported(second) == text


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(conversations())
def test_json_is_strict_and_inert(document: ConversationDocument) -> None:
    with Library.in_memory() as library:
        library.add_conversations([document])
        text = exported(library)
    assert inert.block(text) == text

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    (found,) = json.loads(text, parse_constant=refuse)["conversations"]
    assert [m["content"] for m in found["messages"]] == [m.content for m in document.messages]
    assert [m["parent"] for m in found["messages"]] == [m.parent for m in document.messages]


def test_a_lived_in_conversation_comes_back_whole(library: Library, make_tokens: MakeTokens) -> None:
    sampling = SamplingParameters(temperature=0.3, logit_bias={7: -math.inf, 8: math.inf})
    talk = library.create(model="SmolLM2", system_prompt="Be brief.", sampling=sampling).id
    question = library.add_message(talk, None, "user", "苹果是水果吗？")
    reply = library.begin_reply(talk, question.id, model="SmolLM2", sampling=sampling)
    library.extend_reply(reply.id, make_tokens(["是", "的", "。", "", "Yes"]), text=" (no token)")
    library.finish_reply(reply.id, "stopped", notices=["A notice."])
    forked = library.fork_reply(reply.id, 2, model="SmolLM2")
    library.finish_reply(forked.id, "end", tokens=make_tokens(["!"]))
    library.edit(question.id, "other words")
    library.select(reply.id)
    before = library.whole(talk)

    with Library.in_memory() as other:
        imported(other, export([before], "json"))
        (found,) = other.conversations()
        after = other.whole(found.id)
    assert [m.content for m in after.path] == [m.content for m in before.path]
    assert after.conversation.sampling == sampling
    assert list(after.tokens.values()) == list(before.tokens.values())
    assert [m.status for m in after.messages] == [m.status for m in before.messages]
    assert after.messages[2].forked_from == after.messages[1].id
    assert after.messages[2].forked_at == 2


def test_a_growing_reply_is_exported_as_interrupted(library: Library, make_tokens: MakeTokens) -> None:
    talk = library.create().id
    question = library.add_message(talk, None, "user", "hi")
    reply = library.begin_reply(talk, question.id, model="m")
    library.extend_reply(reply.id, make_tokens(["a"]))
    document = json.loads(export([library.whole(talk)], "json"))
    assert document["conversations"][0]["messages"][1]["status"] == "interrupted"


def test_imported_conversations_stand_at_their_dates(library: Library) -> None:
    for title, updated in (("old", 10.0), ("new", 30.0)):
        library.add_conversations([conversation(message(1, None), title=title, updated=updated)])
    added = library.add_conversations(
        [
            conversation(message(1, None), title="middle", updated=20.0),
            conversation(message(1, None), title="oldest", updated=5.0),
        ]
    )
    assert [c.title for c in library.conversations()] == ["new", "middle", "old", "oldest"]
    library.add_message(added[1].id, None, "user", "again")
    assert library.conversations()[0].title == "oldest", "what is said next makes it the latest"


def test_imported_messages_are_found(library: Library) -> None:
    library.add_conversations([conversation(message(1, None, "the quick brown fox"))])
    assert [hit.snippet for hit in library.search("brown")] == ["the quick brown fox"]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (conversation(), "there is no message"),
        (conversation(message(1, None), message(1, None)), "number 1"),
        (conversation(message(1, 1)), "message 1 answers 1"),
        (conversation(message(1, 2), message(2, None), chosen=2), "message 1 answers 2"),
        (conversation(message(1, None, chosen=1)), "message 1 chooses 1"),
        (conversation(message(1, None), chosen=2), "chosen, 2"),
        (conversation(message(1, None), chosen=None), "no first message"),
        (conversation(message(1, None), updated=math.nan), "date"),
        (conversation(message(1, None, sampling={"temperature": 1e9})), "temperature"),
        (conversation(message(1, None, sampling={"top_k": 10**30})), "message 1"),
        (conversation(message(1, None, sampling={"heat": 1})), "heat"),
    ],
)
def test_what_does_not_fit_together_is_refused_whole(
    library: Library, broken: ConversationDocument, words: str
) -> None:
    good = conversation(message(1, None, "fine"))
    with pytest.raises(UserError, match=words):
        library.add_conversations([good, broken])
    assert library.conversations() == ()


def test_tokens_must_stand_in_their_text(library: Library, make_tokens: MakeTokens) -> None:
    talk = library.create().id
    reply = library.begin_reply(talk, library.add_message(talk, None, "user", "q").id, model="m")
    library.finish_reply(reply.id, "end", tokens=make_tokens(["one", " two"]))
    document = json.loads(export([library.whole(talk)], "json"))
    document["conversations"][0]["messages"][1]["tokens"][1]["start"] = 2
    with Library.in_memory() as other, pytest.raises(UserError, match="token 2 of message 2"):
        imported(other, json.dumps(document))


def test_damaged_tokens_leave_the_text(library: Library, make_tokens: MakeTokens) -> None:
    talk = library.create().id
    reply = library.begin_reply(talk, library.add_message(talk, None, "user", "q").id, model="m")
    library.finish_reply(reply.id, "end", tokens=make_tokens(["one"]))
    with library._writing() as connection:
        connection.execute("UPDATE chunk SET data = x'00'")
    whole = library.whole(talk)
    assert whole.path[1].content == "one"
    assert len(whole.problems) == 1 and str(reply.id) in whole.problems[0]


def test_the_schema_in_the_documentation_is_that_of_the_document() -> None:
    schema = msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Document)), indent=1).decode()
    file = ROOT / "docs" / "conversation.schema.json"
    if "CHATTERM_WRITE_SCHEMA" in os.environ:
        file.write_text(schema + "\n", "utf-8")
    assert file.read_text("utf-8") == schema + "\n", "CHATTERM_WRITE_SCHEMA=1 writes it anew"
