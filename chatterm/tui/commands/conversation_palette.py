"""What the command palette offers besides the keys of the chat: a message's actions, and conversations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher
from textual.message import Message

from chatterm import inert
from chatterm.chat.session import ChatSession
from chatterm.chat.turns import Turn
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.library.text import folded
from chatterm.tui import keys, messages

LISTED = 20
LONGEST = 200
"""Characters of a title; it may come from a file of somebody else's."""


class Chosen(Protocol):
    """The message that something can be done with."""

    @property
    def message(self) -> Turn | None:
        """The chosen message, or the last one; None if nothing has been said."""
        ...


class Chat(Protocol):
    """What is asked of the chat's screen."""

    @property
    def session(self) -> ChatSession:
        """The conversation and what is done to it."""
        ...

    @property
    def message(self) -> Chosen:
        """The message that something can be done with."""
        ...

    async def run_action(self, action: str) -> None:
        """Do what a key does."""
        ...

    def post_message(self, message: Message) -> bool:
        """Ask the screen for something."""
        ...


class MessageProvider(Provider):
    """What can be done with the chosen message, or with the last one where none is chosen."""

    @property
    def _chat(self) -> Chat:
        return cast(Chat, self.screen)  # which has this provider among its COMMANDS

    def _each(self) -> Iterator[tuple[keys.Key, str]]:
        if self._chat.message.message is not None:
            for key in keys.of("messages"):
                if key.hint and "leave" not in key.action:
                    yield key, _("Message") + f": {_(key.says)}"

    async def _run(self, action: str) -> None:
        await self._chat.run_action(action.removeprefix("screen."))

    async def discover(self) -> Hits:
        """All of them."""
        for key, says in self._each():
            yield DiscoveryHit(says, partial(self._run, key.action), help=keys.name(key.keys[0]))

    async def search(self, query: str) -> Hits:
        """Those that match, and conversations whose titles have the words."""
        matcher = self.matcher(query)
        for key, says in self._each():
            if (score := matcher.match(says)) > 0:
                yield Hit(
                    score,
                    highlighted(matcher, says),
                    partial(self._run, key.action),
                    text=says,
                    help=keys.name(key.keys[0]),
                )
        try:
            library = await self._chat.session.keeper.library()
            found = await library.conversations(matching=query, limit=LISTED)
        except UserError:
            return
        for conversation in found:
            title = _marked(inert.line(conversation.title), query)
            model = inert.line(conversation.model or "")
            yield Hit(
                matcher.match(title.plain) or 1.0,
                Content("\n").join([title, Content.styled(model, "$text-muted")]) if model else title,
                partial(self._open, conversation.id),
                text=title.plain,
            )

    def _open(self, conversation: int) -> None:
        self._chat.post_message(messages.ConversationWanted(conversation))


def highlighted(matcher: Matcher, text: str) -> Content:
    """A text with what matches in it marked; `Matcher.highlight` would take it for markup."""
    shown = Content(text)
    for offset in matcher.fuzzy_search.match(matcher.query, text)[1]:
        shown = shown.stylize(matcher.match_style, offset, offset + 1)
    return shown


def _marked(title: str, query: str) -> Content:
    """A line about a conversation with the words that were looked for; never taken for markup."""
    before, between, after = _("Go on with “{title}”").partition("{title}")
    assert between
    title = title[:LONGEST]
    start = folded(title).find(folded(query))
    shown = Content(before + title + after)
    if start >= 0:
        start += len(before)
        shown = shown.stylize("reverse", start, start + len(query))
    return shown
