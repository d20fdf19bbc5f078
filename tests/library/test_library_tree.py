"""The tree behaves like a simple model of it, through reopening, editing, forking, choosing and deleting."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from chatterm.errors import UserError
from chatterm.library import Library, title_of

TEXTS = st.text(alphabet=st.sampled_from("ab é苹果🌊\n\0\x1b\ud800 "), max_size=12)


@dataclass
class Said:
    conversation: int
    parent: int | None
    content: str
    status: str
    chosen: int | None = None


@dataclass
class Model:
    """What the library should hold, as dictionaries."""

    said: dict[int, Said] = field(default_factory=dict)
    chosen: dict[int, int | None] = field(default_factory=dict)  # by conversation
    order: list[int] = field(default_factory=list)  # of conversations, the last talked in last
    deleted: set[int] = field(default_factory=set)

    def add(self, message: int, said: Said) -> None:
        self.said[message] = said
        self.choose(message)
        self.touch(said.conversation)

    def touch(self, conversation: int) -> None:
        self.order.remove(conversation)
        self.order.append(conversation)

    def choose(self, message: int) -> None:
        said = self.said[message]
        if said.parent is None:
            self.chosen[said.conversation] = message
        else:
            self.said[said.parent].chosen = message
            self.choose(said.parent)

    def path(self, conversation: int) -> list[int]:
        path, message = [], self.chosen[conversation]
        while message is not None:
            path.append(message)
            message = self.said[message].chosen
        return path

    def siblings(self, message: int) -> list[int]:
        said = self.said[message]
        return [
            other
            for other, its in self.said.items()
            if its.conversation == said.conversation and its.parent == said.parent
        ]


def stored(text: str) -> str:
    return text.replace("\ud800", "\ufffd")


class TreeMachine(RuleBasedStateMachine):
    conversations = Bundle("conversations")
    messages = Bundle("messages")
    growing = Bundle("growing")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.library = Library(self.folder / "library.sqlite3")
        self.model = Model()

    def teardown(self) -> None:
        self.library.close()
        shutil.rmtree(self.folder)

    @rule(target=conversations)
    def create(self) -> int:
        conversation = self.library.create(model="tiny").id
        self.model.chosen[conversation] = None
        self.model.order.append(conversation)
        return conversation

    @rule(target=messages, conversation=conversations, text=TEXTS)
    def begin_with(self, conversation: int, text: str) -> int:
        message = self.library.add_message(conversation, None, "user", text)
        self.model.add(message.id, Said(conversation, None, stored(text), "done"))
        self.model.deleted.discard(conversation)
        return message.id

    @rule(target=messages, parent=messages, text=TEXTS)
    def answer(self, parent: int, text: str) -> int:
        conversation = self.model.said[parent].conversation
        message = self.library.add_message(conversation, parent, "user", text)
        self.model.add(message.id, Said(conversation, parent, stored(text), "done"))
        self.model.deleted.discard(conversation)
        return message.id

    @rule(target=messages, message=messages, text=TEXTS)
    def edit(self, message: int, text: str) -> int:
        old = self.model.said[message]
        new = self.library.edit(message, text)
        assert new.edited_from == message
        self.model.add(new.id, Said(old.conversation, old.parent, stored(text), "done"))
        self.model.deleted.discard(old.conversation)
        return new.id

    @rule(target=growing, parent=messages, text=TEXTS)
    def begin_reply(self, parent: int, text: str) -> int:
        conversation = self.model.said[parent].conversation
        reply = self.library.begin_reply(conversation, parent, model="tiny", content=text)
        self.model.add(reply.id, Said(conversation, parent, stored(text), "writing"))
        return reply.id

    @rule(reply=growing, text=TEXTS)
    def extend(self, reply: int, text: str) -> None:
        if self.model.said[reply].status == "writing":
            self.library.extend_reply(reply, text=text)
            self.model.said[reply].content += stored(text)
        else:
            with pytest.raises(UserError):
                self.library.extend_reply(reply, text=text)

    @rule(target=messages, reply=consumes(growing), text=TEXTS)
    def finish(self, reply: int, text: str) -> int:
        said = self.model.said[reply]
        if said.status == "writing":
            self.library.finish_reply(reply, "stopped", text=text)
            said.content += stored(text)
            said.status = "stopped"
            self.model.touch(said.conversation)
        return reply

    @rule(message=messages)
    def select(self, message: int) -> None:
        self.model.choose(message)
        opened = self.library.select(message)
        assert [m.id for m in opened.path] == self.model.path(self.model.said[message].conversation)

    @rule(conversation=conversations)
    def delete(self, conversation: int) -> None:
        self.library.delete(conversation)
        self.model.deleted.add(conversation)

    @rule(conversation=conversations)
    def undelete(self, conversation: int) -> None:
        self.library.undelete(conversation)
        self.model.deleted.discard(conversation)

    @rule()
    def reopen(self) -> None:
        self.library.close()
        self.library = Library(self.folder / "library.sqlite3")
        for said in self.model.said.values():
            if said.status == "writing":
                said.status = "interrupted"

    @invariant()
    def agrees(self) -> None:
        listed = [
            c for c in reversed(self.model.order) if self.model.chosen[c] and c not in self.model.deleted
        ]
        assert [c.id for c in self.library.conversations()] == listed
        last = self.library.last_conversation()
        assert (last.id if last else None) == (listed[0] if listed else None)
        for conversation in self.model.order:
            path = self.library.open(conversation).path
            expected = self.model.path(conversation)
            assert [m.id for m in path] == expected
            for message in path:
                said = self.model.said[message.id]
                siblings = self.model.siblings(message.id)
                assert (message.content, message.status) == (said.content, said.status)
                assert message.sibling == siblings.index(message.id) + 1
                assert message.siblings == len(siblings)
                assert self.library.siblings(message.id).ids == tuple(siblings)
            nodes = self.library.tree(conversation)
            belonging = {m: s for m, s in self.model.said.items() if s.conversation == conversation}
            assert {n.id: n.parent for n in nodes} == {m: s.parent for m, s in belonging.items()}
            assert {n.id for n in nodes if n.active} == set(expected)
            seen: dict[int | None, int] = {None: -1}
            for node in nodes:  # parents first, one deeper
                assert node.depth == seen[node.parent] + 1
                seen[node.id] = node.depth


TestTree = TreeMachine.TestCase
TestTree.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)


def test_choosing_a_sibling_keeps_what_was_active_below_it(library: Library) -> None:
    conversation = library.create().id
    first = library.add_message(conversation, None, "user", "one")
    below = library.add_message(conversation, first.id, "assistant", "answer")
    deepest = library.add_message(conversation, below.id, "user", "and?")
    other = library.edit(first.id, "another one")
    assert [m.id for m in library.open(conversation).path] == [other.id]
    assert [m.id for m in library.select(first.id).path] == [first.id, below.id, deepest.id]
    assert library.siblings(first.id).next == other.id
    assert library.siblings(first.id).previous is None


def test_a_long_path_opens(library: Library) -> None:
    conversation, parent = library.create().id, None
    with library._writing() as connection:
        for number in range(3_000):
            connection.execute(
                "INSERT INTO message "
                "(id, conversation, parent, chosen, role, content, created, status, notices) "
                "VALUES (?, ?, ?, ?, 'user', 'x', 0, 'done', '[]')",
                (number + 1, conversation, parent, number + 2 if number < 2_999 else None),
            )
            parent = number + 1
        connection.execute("UPDATE conversation SET chosen = 1")
    assert len(library.open(conversation).path) == 3_000
    assert max(node.depth for node in library.tree(conversation)) == 2_999
    assert len(library.select(3_000).path) == 3_000


def test_pinned_come_first_and_pages_follow(library: Library) -> None:
    ids = []
    for number in range(5):
        conversation = library.create()
        library.add_message(conversation.id, None, "user", f"question {number}")
        ids.append(conversation.id)
    library.pin(ids[1])
    assert [c.id for c in library.conversations()] == [ids[1], ids[4], ids[3], ids[2], ids[0]]
    assert [c.id for c in library.conversations(limit=2, offset=1)] == [ids[4], ids[3]]
    library.pin(ids[1], False)
    assert [c.id for c in library.conversations(limit=1)] == [ids[4]]


def test_the_order_does_not_depend_on_the_clock(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for now in (2_000_000_000.0, 1_000.0, 0.0):
        monkeypatch.setattr("time.time", lambda now=now: now)
        conversation = library.create()
        library.add_message(conversation.id, None, "user", "hello")
        ids.insert(0, conversation.id)
    assert [c.id for c in library.conversations()] == ids


def test_other_words_for_the_first_message_give_another_title(library: Library) -> None:
    conversation = library.create().id
    first = library.add_message(conversation, None, "user", "Write a haiku about the sea").id
    reply = library.begin_reply(conversation, first, model="tiny").id
    second = library.add_message(conversation, reply, "user", "And another").id
    library.add_message(conversation, reply, "user", "And two more", edited_from=second)
    assert library.conversation(conversation).title == "Write a haiku about the sea"
    library.add_message(conversation, None, "user", "Write an ode to the moon", edited_from=first)
    assert library.conversation(conversation).title == "Write an ode to the moon"
    library.rename(conversation, "mine")
    library.add_message(conversation, None, "user", "Write a limerick about rain", edited_from=first)
    assert library.conversation(conversation).title == "mine"


def test_titles_come_from_the_first_message_until_the_user_gives_one(library: Library) -> None:
    conversation = library.create().id
    assert library.conversations() == ()
    first = library.add_message(conversation, None, "user", "# Write a **haiku** about the sea")
    assert library.conversation(conversation).title == "Write a haiku about the sea"
    library.add_message(conversation, first.id, "user", "something else")
    assert library.conversation(conversation).title == "Write a haiku about the sea"
    library.edit(first.id, "An ode")
    assert library.conversation(conversation).title == "An ode"
    named = library.rename(conversation, "  my\n sea ")
    assert (named.title, named.title_is_users) == ("my sea", True)
    assert library.conversations(matching="SEA") == (named,)
    assert library.conversations(matching="lake") == ()
    assert library.rename(conversation, "").title == title_of("# Write a **haiku** about the sea")


def test_delete_undo_and_purge(library: Library) -> None:
    conversation = library.create().id
    message = library.add_message(conversation, None, "user", "remember the milk")
    with pytest.raises(UserError, match="not deleted"):
        library.purge(conversation)
    assert library.delete(conversation).deleted is not None
    assert library.conversations() == () and library.last_conversation() is None
    assert [c.id for c in library.conversations(deleted=True)] == [conversation]
    assert library.search("milk") == ()
    library.undelete(conversation)
    assert library.search("milk")[0].message == message.id
    library.delete(conversation)
    assert library.purge_deleted(older_than=3_600) == 0
    assert library.purge_deleted(older_than=-1) == 1
    with pytest.raises(UserError, match="no conversation"):
        library.open(conversation)
    with library._reading() as connection:
        for table in ("message", "chunk", "search"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert library.create().id > conversation


def test_who_goes_on_talking_in_a_deleted_conversation_has_it_back(
    library: Library, library_path: Path
) -> None:
    """It was deleted by another program while it was open here. What else happens in it leaves it deleted."""
    conversation = library.create().id
    first = library.add_message(conversation, None, "user", "remember the milk")
    reply = library.begin_reply(conversation, first.id, model="tiny")
    for go_on in (
        lambda: library.add_message(conversation, reply.id, "user", "and the bread"),
        lambda: library.edit(first.id, "remember the bread"),
    ):
        with Library(library_path) as other:
            other.delete(conversation)
        library.extend_reply(reply.id, text="Yes")
        library.configure(conversation, system_prompt="be brief")
        assert library.conversations() == ()
        go_on()
        assert [c.id for c in library.conversations()] == [conversation]
        assert library.search("bread") and library.conversation(conversation).deleted is None
    library.delete(conversation)
    library.finish_reply(reply.id, "stopped")
    assert library.conversations() == (), "a reply that was being written when it was deleted is no reason"
    library.purge(conversation)
    with pytest.raises(UserError, match="purged in another window"):
        library.add_message(conversation, reply.id, "user", "and the butter")


def test_unknown_numbers_are_sentences(library: Library) -> None:
    conversation, other = library.create().id, library.create().id
    message = library.add_message(conversation, None, "user", "hello")
    for call in (
        lambda: library.open(99),
        lambda: library.message(99),
        lambda: library.select(99),
        lambda: library.siblings(99),
        lambda: library.edit(99, "x"),
        lambda: library.tokens(99),
        lambda: library.tree(99),
        lambda: library.rename(99, "x"),
        lambda: library.add_message(99, None, "user", "x"),
        lambda: library.add_message(other, message.id, "user", "x"),
        lambda: library.begin_reply(conversation, 99, model="tiny"),
        lambda: library.continue_reply(message.id, 0, model="tiny"),
        lambda: library.fork_reply(message.id, 1, model="tiny"),
        lambda: library.finish_reply(message.id, "end"),
    ):
        with pytest.raises(UserError):
            call()
    assert [m.id for m in library.open(conversation).path] == [message.id]


@pytest.mark.parametrize(
    ("message", "title"),
    [("hi", "hi · Salt and wind"), ("你好", "你好 · Salt and wind"), ("The sea, please", "The sea, please")],
)
def test_a_title_says_what_the_first_exchange_is_about(library, message, title):
    conversation = library.create().id
    asked = library.add_message(conversation, None, "user", message)
    reply = library.begin_reply(conversation, asked.id, model="m")
    library.finish_reply(reply.id, "end", text="## Salt and wind\n\nMore.")
    assert library.conversation(conversation).title == title
    again = library.begin_reply(conversation, asked.id, model="m")
    library.finish_reply(again.id, "end", text="Other words")
    assert library.conversation(conversation).title == title, "another reply does not change it"
    library.rename(conversation, "mine")
    last = library.begin_reply(conversation, asked.id, model="m")
    library.finish_reply(last.id, "end", text="Yet others")
    assert library.conversation(conversation).title == "mine"
