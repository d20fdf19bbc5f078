"""What the command palette offers: what the keys do, and the slash commands."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Protocol, runtime_checkable

from textual.command import DiscoveryHit, Hit, Hits
from textual.content import Content
from textual.system_commands import SystemCommandsProvider
from textual.types import IgnoreReturnCallbackType

from chatterm.language import _
from chatterm.tui.commands.conversation_palette import highlighted
from chatterm.tui.commands.table import COMMANDS, Command


@runtime_checkable
class BeginsCommands(Protocol):
    """A screen from which slash commands are given."""

    def begin_command(self, command: Command) -> None:
        """Run a command that needs nothing more; any other is put into the message."""
        ...


class CommandProvider(SystemCommandsProvider):
    """A command that needs an argument is put into the message, to be completed there.

    Two providers would be asked at once, and their answers stand in the order in which they come.
    """

    def _each(self) -> Iterator[tuple[Command, IgnoreReturnCallbackType]]:
        chat = next((screen for screen in self.app.screen_stack if isinstance(screen, BeginsCommands)), None)
        if chat is not None:
            for command in COMMANDS:
                yield command, partial(chat.begin_command, command)

    async def discover(self) -> Hits:
        """All of them."""
        async for hit in super().discover():
            yield hit
        for command, run in self._each():
            yield DiscoveryHit(Content(command.usage), run, text=command.usage, help=_(command.says))

    async def search(self, query: str) -> Hits:
        """Those that match."""
        async for hit in super().search(query):
            yield hit
        matcher = self.matcher(query)
        for command, run in self._each():
            text = f"{command.usage}  {_(command.says)}"
            if (score := matcher.match(text)) > 0:
                yield Hit(score, highlighted(matcher, text), run, text=command.usage, help=_(command.says))
