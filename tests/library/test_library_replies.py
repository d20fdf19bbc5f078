"""Replies: what is stored with them, how they grow, fork, go on, and how they are left."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from chatterm.engine import messages as engine
from chatterm.errors import UserError
from chatterm.library import Candidate, Library, Removal, Timing, Token
from chatterm.records import generation as records
from chatterm.sampling import SamplingParameters

MakeTokens = Callable[[Sequence[str]], list[Token]]
TIMING = Timing(12, 4, 3, 0.2, 0.1, 0.5)


@pytest.fixture
def question(library: Library) -> int:
    return library.add_message(library.create(model="tiny").id, None, "user", "what is the sea?").id


def reply_of(library: Library, question: int, tokens: Sequence[Token]) -> int:
    conversation = library.message(question).conversation
    reply = library.begin_reply(conversation, question, model="tiny").id
    library.extend_reply(reply, tokens)
    library.finish_reply(reply, "end")
    return reply


def as_stored(tokens: Sequence[Token], start: int = 0) -> tuple[Token, ...]:
    """Tokens at their places, with everything but the 32-bit numbers as it was."""
    placed = []
    for token in tokens:
        placed.append(msgspec.structs.replace(token, start=start))
        start += len(token.text)
    return tuple(placed)


def rounded(tokens: Sequence[Token]) -> list[object]:
    def number(value: object) -> object:
        if isinstance(value, float):
            return float(f"{value:.5g}")
        if isinstance(value, list | tuple):
            return [number(item) for item in value]
        if isinstance(value, dict):
            return {key: number(item) for key, item in value.items()}
        return value

    return [number(msgspec.to_builtins(token)) for token in tokens]


def test_a_reply_is_kept_as_it_was_written(library: Library, question: int, make_tokens: MakeTokens) -> None:
    sampling = SamplingParameters(temperature=0.3, seed=7, logit_bias={5: -math.inf})
    reply = library.begin_reply(
        library.message(question).conversation, question, model="tiny", sampling=sampling, notices=["folded"]
    )
    assert (reply.status, reply.content, reply.tokens) == ("writing", "", 0)
    tokens = make_tokens(["The", " sea", "", " 是海", " 🌊", "."])
    library.extend_reply(reply.id, tokens[:2])
    library.extend_reply(reply.id, tokens[2:5])
    assert library.message(reply.id).content == "The sea 是海 🌊"
    finished = library.finish_reply(
        reply.id, "stop", tokens=tokens[5:], text=" tail", timing=TIMING, notices=["slow"]
    )
    assert finished.content == "The sea 是海 🌊. tail"
    assert (finished.status, finished.finish, finished.timing) == ("done", "stop", TIMING)
    assert (finished.notices, finished.sampling) == (("folded", "slow"), sampling)
    stored = library.tokens(reply.id)
    assert finished.tokens == len(stored) == 6
    assert rounded(stored) == rounded(as_stored(tokens))
    for token in stored:
        assert finished.content[token.start : token.start + len(token.text)] == token.text


@pytest.mark.parametrize("finish", ["stopped", "length", "context", "failed"])
def test_how_a_reply_ended_is_kept(library: Library, question: int, finish: str) -> None:
    reply = library.begin_reply(library.message(question).conversation, question, model="tiny")
    assert library.finish_reply(reply.id, finish).status == finish


def test_the_engines_records_are_taken_over(library: Library, question: int) -> None:
    candidate = records.Candidate(3, " sea", -0.5, 1, 0.75, None)
    removed = records.Candidate(4, " lake", -2.5, 2, 0.0, "top_p")
    distribution = records.Distribution(
        17, 1.25, 1, (records.Removal("top_p", 9, 0.25),), (candidate, removed)
    )
    event = engine.TokenEvent(
        request=1,
        id=3,
        text=" sea",
        logprob=-0.5,
        rank=1,
        sampled=0.75,
        distribution=distribution,
        temperature=0.8,
    )
    token = Token(
        id=event.id,
        text=event.text,
        position=distribution.position,
        logprob=event.logprob,
        rank=event.rank,
        sampled=event.sampled,
        entropy=event.entropy,
        temperature=event.temperature,
        kept=distribution.kept,
        removed=msgspec.convert(distribution.removed, tuple[Removal, ...], from_attributes=True),
        candidates=msgspec.convert(distribution.candidates, tuple[Candidate, ...], from_attributes=True),
    )
    assert library.tokens(reply_of(library, question, [token])) == (token,)
    timing = records.Timing(1, 0, 1, 0.5, 0.25, 0.125)
    assert msgspec.convert(timing, Timing, from_attributes=True) == Timing(1, 0, 1, 0.5, 0.25, 0.125)


def test_a_fork_begins_with_the_first_tokens(
    library: Library, question: int, make_tokens: MakeTokens
) -> None:
    tokens = make_tokens(["The", " sea", " is", " wide"])
    reply = reply_of(library, question, tokens)
    fork = library.fork_reply(reply, 2, model="tiny")
    assert (fork.content, fork.tokens, fork.status) == ("The sea", 2, "writing")
    assert (fork.forked_from, fork.forked_at, fork.sibling, fork.siblings) == (reply, 2, 2, 2)
    other = make_tokens([" was", " calm"])
    library.extend_reply(fork.id, other)
    finished = library.finish_reply(fork.id, "end")
    assert finished.content == "The sea was calm"
    assert rounded(library.tokens(fork.id)) == rounded(as_stored([*tokens[:2], *other]))
    assert library.message(reply).content == "The sea is wide"
    assert library.fork_reply(reply, 0, model="tiny").content == ""
    assert library.fork_reply(reply, 4, model="tiny").content == "The sea is wide"
    with pytest.raises(UserError, match="4 tokens"):
        library.fork_reply(reply, 5, model="tiny")


def test_a_stopped_reply_goes_on_in_place(library: Library, question: int, make_tokens: MakeTokens) -> None:
    first, second = make_tokens(["The", " sea"]), make_tokens([" is", " wide"])
    reply = library.begin_reply(library.message(question).conversation, question, model="tiny").id
    library.extend_reply(reply, first)
    library.finish_reply(reply, "stopped", text=",")
    assert library.search("sea,")[0].message == reply
    going_on = library.continue_reply(reply, 2, model="tiny")
    assert (going_on.id, going_on.status, going_on.finish) == (reply, "writing", None)
    assert going_on.content == "The sea", "the model goes on behind the last token"
    with pytest.raises(UserError, match="cannot be continued"):
        library.continue_reply(reply, 2, model="tiny")
    library.extend_reply(reply, second)
    finished = library.finish_reply(reply, "end")
    assert finished.content == "The sea is wide"
    assert [t.start for t in library.tokens(reply)] == [0, 3, 7, 10]
    assert [hit.message for hit in library.search('"sea is"')] == [reply]
    assert library.search("sea,") == ()


@pytest.mark.parametrize("how", ["in place", "answered", "fork", "fork before"])
def test_what_no_token_stands_for_is_not_gone_on_from(
    library: Library, question: int, make_tokens: MakeTokens, how: str
) -> None:
    """As when a reply was stopped within a character: half of it is text at the end and no token's."""
    reply = library.begin_reply(library.message(question).conversation, question, model="tiny").id
    library.finish_reply(reply, "stopped", tokens=make_tokens(["The", " ocean's", ""]), text="\ufffd")
    assert library.message(reply).content == "The ocean's\ufffd"
    if how == "answered":
        library.add_message(library.message(reply).conversation, reply, "user", "and?")
    if how.startswith("fork"):
        going_on = library.fork_reply(reply, 2 if how == "fork before" else 3, model="tiny")
    else:
        going_on = library.continue_reply(reply, 3, model="tiny")
    assert (going_on.id == reply) == (how == "in place")
    assert going_on.content == "The ocean's"
    library.extend_reply(going_on.id, make_tokens([" mirror"]))
    finished = library.finish_reply(going_on.id, "stopped", text="\ufffd")
    assert finished.content == "The ocean's mirror\ufffd"
    for token in library.tokens(going_on.id):
        assert finished.content[token.start :].startswith(token.text)
    assert library.tokens(going_on.id)[-1].start == len("The ocean's")
    assert [hit.message for hit in library.search("ocean's mirror")] == [going_on.id]
    if how != "in place":
        assert library.message(reply).content == "The ocean's\ufffd"


def test_words_without_any_token_are_gone_on_from(library: Library, question: int) -> None:
    conversation = library.message(question).conversation
    reply = library.begin_reply(conversation, question, model="tiny", content="The").id
    library.finish_reply(reply, "stopped")
    assert library.fork_reply(reply, 0, model="tiny").content == "The"
    library.extend_reply(library.continue_reply(reply, 0, model="tiny").id, text=" sea")
    assert library.finish_reply(reply, "end").content == "The sea"


@pytest.mark.parametrize("because", ["answered", "another model"])
def test_it_goes_on_in_a_sibling_when_that_would_change_what_was_said(
    library: Library, question: int, make_tokens: MakeTokens, because: str
) -> None:
    reply = reply_of(library, question, make_tokens(["The", " sea"]))
    library.extend_reply(library.continue_reply(reply, 2, model="tiny").id, text="!")
    library.finish_reply(reply, "stopped", tokens=make_tokens([" so"]))
    if because == "answered":
        library.add_message(library.message(reply).conversation, reply, "user", "thanks")
    copy = library.continue_reply(reply, 3, model="tiny" if because == "answered" else "other")
    assert copy.id != reply
    assert (copy.content, copy.tokens, copy.forked_from, copy.forked_at) == ("The sea! so", 3, reply, 3)
    assert [t.start for t in library.tokens(copy.id)] == [0, 3, 8]
    assert library.message(reply).status == "stopped"


@pytest.mark.parametrize("still", ["writing", "ended"])
def test_two_windows_that_continue_one_reply_write_two(
    library_path: Path, library: Library, question: int, make_tokens: MakeTokens, still: str
) -> None:
    """Each goes on behind what it shows, whatever the other one has made of it meanwhile."""
    shown = make_tokens(["one", " two"])
    reply = reply_of(library, question, shown)
    with Library(library_path) as other:
        assert other.continue_reply(reply, 2, model="tiny").id == reply
        other.extend_reply(reply, make_tokens([" three", " four"]))
        if still == "ended":
            other.finish_reply(reply, "stopped", text="…")
        mine = library.continue_reply(reply, 2, model="tiny")
        assert (mine.content, mine.tokens, mine.status) == ("one two", 2, "writing")
        assert (mine.forked_from, mine.forked_at, mine.sibling, mine.siblings) == (reply, 2, 2, 2)
        library.extend_reply(mine.id, make_tokens([" 3"]))
        if still == "writing":
            other.finish_reply(reply, "stopped", text="…")
        assert library.finish_reply(mine.id, "end").content == "one two 3"
        assert library.message(reply).content == "one two three four…"
        assert [t.text for t in other.tokens(mine.id)] == ["one", " two", " 3"]
    with pytest.raises(UserError, match="has 4 tokens"):
        library.continue_reply(reply, 5, model="tiny")


def test_an_edited_reply_keeps_the_tokens_of_what_is_unchanged(
    library: Library, question: int, make_tokens: MakeTokens
) -> None:
    tokens = make_tokens(["The", " sea", " is", "", " wide"])
    reply = reply_of(library, question, tokens)
    edited = library.edit(reply, "The sea is cold")
    assert [t.text for t in library.tokens(edited.id)] == ["The", " sea", " is"]
    assert (edited.role, edited.status, edited.edited_from) == ("assistant", "done", reply)
    begun = library.begin_reply(
        edited.conversation, question, model="tiny", content="The seal", edited_from=reply
    )
    library.extend_reply(begun.id, make_tokens([" swims"]))
    assert [(t.text, t.start) for t in library.tokens(begun.id)] == [("The", 0), (" sea", 3), (" swims", 8)]
    assert library.message(begun.id).content == "The seal swims"
    assert library.edit(reply, library.message(reply).content).tokens == 5


def test_text_that_utf8_cannot_carry_is_shown(
    library: Library, question: int, make_tokens: MakeTokens
) -> None:
    reply = reply_of(library, question, make_tokens(["a\ud800", "\udfffb", "\0", "\x1b[31m"]))
    message = library.message(reply)
    assert message.content == "a\ufffd\ufffdb\0\x1b[31m"
    assert [message.content[t.start : t.start + len(t.text)] for t in library.tokens(reply)] == [
        "a\ufffd",
        "\ufffdb",
        "\0",
        "\x1b[31m",
    ]


def test_a_message_of_a_megabyte(library: Library) -> None:
    text = "苹果 and \U0001f34e, " * 100_000
    conversation = library.create(system_prompt=text).id
    message = library.add_message(conversation, None, "user", text + "needle")
    assert library.message(message.id).content == text + "needle"
    assert library.conversation(conversation).system_prompt == text
    (hit,) = library.search("needle")
    assert [hit.snippet[start:end] for start, end in hit.spans] == ["needle"]
    assert len(hit.snippet) < 200


def test_a_thousand_tokens_take_little_room(library: Library, question: int, make_tokens: MakeTokens) -> None:
    reply = reply_of(library, question, make_tokens([f" word{n % 300}" for n in range(1_000)]))
    assert len(library.tokens(reply)) == 1_000
    with library._reading() as connection:
        (size,) = connection.execute("SELECT sum(length(data)) FROM chunk").fetchone()
    assert size < 400_000


def test_an_unfinished_reply_is_interrupted_when_its_library_closes(
    library_path: Path, make_tokens: MakeTokens
) -> None:
    with Library(library_path) as writer:
        conversation = writer.create().id
        reply = writer.begin_reply(conversation, None, model="tiny").id
        writer.extend_reply(reply, make_tokens(["Half", " a", " sent"]))
    with Library(library_path) as library:
        message = library.message(reply)
        assert (message.status, message.content, message.tokens) == ("interrupted", "Half a sent", 3)
        assert [hit.message for hit in library.search("half")] == [reply]
        library.continue_reply(reply, 3, model="tiny")
        library.extend_reply(reply, text="ence")
        assert library.finish_reply(reply, "end").content == "Half a sentence"


def test_a_reply_that_another_library_is_writing_is_left_alone(library_path: Path) -> None:
    with Library(library_path) as writer:
        reply = writer.begin_reply(writer.create().id, None, model="tiny").id
        with Library(library_path) as reader:
            assert reader.message(reply).status == "writing"
            assert reader.recover() == 0
            with pytest.raises(UserError, match="not being written here"):
                reader.extend_reply(reply, text="x")
            with pytest.raises(UserError, match="not being written here"):
                reader.finish_reply(reply, "end")
        writer.extend_reply(reply, text="mine")
        assert writer.finish_reply(reply, "end").content == "mine"
    assert list((library_path.parent / "library.sqlite3.owners").iterdir()) == []


def test_damaged_probabilities_leave_the_text(
    library: Library, question: int, make_tokens: MakeTokens
) -> None:
    reply = reply_of(library, question, make_tokens(["The", " sea"]))
    with library._writing() as connection:
        connection.execute("UPDATE chunk SET data = substr(data, 1, 40)")
    with pytest.raises(UserError, match="cannot be read"):
        library.tokens(reply)
    assert library.message(reply).content == "The sea"
