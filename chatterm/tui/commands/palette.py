"""The slash commands in the command palette."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.types import IgnoreReturnCallbackType

from chatterm.language import _
from chatterm.tui.commands.table import COMMANDS, Command
from chatterm.tui.palette import highlighted
from chatterm.tui.screens.writing import WritingScreen


class CommandProvider(Provider):
    """A command that needs an argument is put into the message, to be completed there."""

    def _each(self) -> Iterator[tuple[Command, IgnoreReturnCallbackType]]:
        chat = next((screen for screen in self.app.screen_stack if isinstance(screen, WritingScreen)), None)
        if chat is not None:
            for command in COMMANDS:
                yield command, partial(chat.begin_command, command)

    async def discover(self) -> Hits:
        """All of them."""
        for command, run in self._each():
            yield DiscoveryHit(Content(command.usage), run, text=command.usage, help=_(command.says))

    async def search(self, query: str) -> Hits:
        """Those that match."""
        matcher = self.matcher(query)
        for command, run in self._each():
            text = f"{command.usage}  {_(command.says)}"
            if (score := matcher.match(text)) > 0:
                yield Hit(score, highlighted(matcher, text), run, text=command.usage, help=_(command.says))
