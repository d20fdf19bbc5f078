"""Completion while a message is written: slash commands and files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from textual.screen import Screen

from chatterm import paths
from chatterm.chat import attachments
from chatterm.language import _
from chatterm.tui.commands.table import BY_NAME, matching
from chatterm.tui.text import bars
from chatterm.tui.widgets.completions import Completion, Completions
from chatterm.tui.widgets.composer import Composer


class Completing:
    """Offers what could be meant, and takes what was."""

    def __init__(
        self,
        screen: Screen[None],
        *,
        composer: Composer,
        completions: Completions,
        attach: Callable[[Path], None],
    ) -> None:
        self._screen = screen
        self._composer = composer
        self._completions = completions
        self._attach = attach
        composer.completions = completions

    def look(self) -> None:
        """The message has changed: offer what could be meant now."""
        line, text = self._composer.before_cursor, self._composer.text
        if text.startswith("/") and not text.startswith("//") and text == line and " " not in text:
            self._completions.offer(_commands(text[1:]))
            return
        query = attachments.query(line)
        if query is None:
            self.close()
        else:
            self._screen.run_worker(
                self._offer_files(query), group="files", exclusive=True, exit_on_error=True
            )

    async def _offer_files(self, query: str) -> None:
        found = await asyncio.to_thread(attachments.matching, query, Path.cwd())
        if attachments.query(self._composer.before_cursor) == query:
            self._completions.offer([_file(entry, len(query) + 1) for entry in found])

    def close(self) -> None:
        """Offer nothing."""
        self._completions.offer(())

    def take(self, *, sends: bool = False) -> None:
        """Take the completion under the cursor; with `sends` what is complete then is sent."""
        composer, text = self._composer, self._composer.text
        if sends and text.startswith("/") and text[1:].strip().lower() in BY_NAME:
            self.close()
            composer.action_send()
            return
        self._refresh_commands()  # keys may have been faster than the list
        chosen = self._completions.chosen
        self.close()
        if chosen is None:
            if sends:
                composer.action_send()
        elif isinstance(chosen.value, Path):
            composer.complete("", chosen.length)
            self._attach(chosen.value)
        else:
            composer.complete(chosen.text, chosen.length)
            command = BY_NAME.get(chosen.text.strip("/ "))
            if sends and command is not None and not command.arguments:
                composer.action_send()

    def _refresh_commands(self) -> None:
        text = self._composer.text
        chosen = self._completions.chosen
        if text.startswith("/") and " " not in text and chosen is not None and chosen.length != len(text):
            self._completions.offer(_commands(text[1:]))


def _commands(begun: str) -> list[Completion]:
    return [
        Completion(command.usage, _(command.says), f"/{command.name} ", len(begun) + 1)
        for command in matching(begun)
    ]


def _file(entry: attachments.Entry, length: int) -> Completion:
    if entry.is_folder:
        return Completion(entry.name, "", f"@{entry.name}", length)
    path = Path.cwd() / paths.expand(entry.name)
    size = f"{bars.count(max(1, entry.bytes >> 10))} KB"
    return Completion(entry.name, size, "", length, path)
