"""Writing a message: completion, slash commands, attachments, and whether it still fits into the window."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from textual import on
from textual.timer import Timer

from chatterm import inert, paths, quoting
from chatterm.chat import attachments
from chatterm.chat.attachments import Attachment
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.tui import messages
from chatterm.tui.commands.table import BY_NAME, Command, matching, parse
from chatterm.tui.screens.tokens import TokensScreen
from chatterm.tui.terminal import editor
from chatterm.tui.terminal.suspended import LendingApp
from chatterm.tui.text import bars
from chatterm.tui.widgets.chips import Chips, ChipsChanged, Unfold
from chatterm.tui.widgets.completions import Completion, Completions
from chatterm.tui.widgets.composer import Composer

COUNT_DELAY = 0.15
"""Seconds of quiet after which a message that is being written is counted in tokens."""

TEMPLATE_ROOM = 64
"""Tokens that a template may put around a message and still leaves room for."""


class WritingScreen(TokensScreen):
    """What the chat does with the message that is being written."""

    _counting: Timer | None = None
    _refused: str | None = None  # what was written and not sent

    @property
    def composer(self) -> Composer:
        """Where the message is written."""
        return self.query_one(Composer)

    @property
    def chips(self) -> Chips:
        """What goes along with it."""
        return self.query_one(Chips)

    @property
    def completions(self) -> Completions:
        """What could be meant."""
        return self.query_one(Completions)

    # --- sending ----------------------------------------------------------------------------------------

    @on(messages.Submitted)
    def _submitted(self, event: messages.Submitted) -> None:
        self.completions.offer(())
        try:
            said = parse(event.text)
        except UserError as error:
            self._give_back(event.text, error)
            return
        if isinstance(said, str):
            self._say(said, event.text)
        else:
            self.run_worker(self._run_command(said.command, said.rest, event.text), exit_on_error=True)

    def _say(self, said: str, written: str) -> None:
        try:
            named = attachments.mentioned(said, Path.cwd())
            for path in named:
                if path not in self.composer.foreign:
                    self.chips.add(attachments.read(path))
        except UserError as error:
            self._give_back(written, error)
            return
        if foreign := [path for path in named if path in self.composer.foreign]:
            self.notify(
                _(
                    "{name} was not attached: a text from elsewhere names it. "
                    "Write @ and choose it, if you want it to be."
                ).format(name=inert.line(foreign[0].name)),
                markup=False,
                timeout=8,
            )
        message = attachments.message(self.chips.attachments, said)
        left = self.session.context_left
        # a token is at least a byte of text, so what is short enough needs no counting
        if left is None or len(message.encode("utf-8", "replace")) + TEMPLATE_ROOM < left:
            self._send(message)
        else:
            self.run_worker(self._send_if_it_fits(message, written), exit_on_error=True)

    def _send(self, message: str) -> None:
        self.chips.take()
        self.leave_tokens()
        self.session.send(message)

    async def _send_if_it_fits(self, message: str, written: str) -> None:
        try:
            filling = await self.session.fill(message)
        except UserError:
            self._send(message)  # whoever answers says what is wrong
            return
        if filling.free > 0:
            self._send(message)
            return
        over = UserError(
            _(
                "This is {count} tokens more than the context window has room for: nothing was sent. "
                "Choose what to leave out."
            ).format(count=1 - filling.free)
        )
        self._give_back(written, over)
        self.action_window()

    def _give_back(self, written: str, error: UserError) -> None:
        """Nothing was sent: what was written stands in the composer again."""
        if not self.composer.text.strip():
            self.composer.put(written)
        self._refused = written
        self.notify(error.sentence, severity="warning", timeout=8, markup=False)

    async def _run_command(self, command: Command, rest: str, written: str = "") -> None:
        try:
            await command.act(self, rest)
        except UserError as error:
            self._give_back(written, error)

    def begin_command(self, command: Command) -> None:
        """Run a command that needs nothing more; any other is put into the message, to be completed."""
        if not command.needs_more:
            self.run_worker(self._run_command(command, ""), exit_on_error=True)
            return
        self.composer.focus()
        self.composer.put(f"/{command.name} ")

    # --- counting ---------------------------------------------------------------------------------------

    @on(Composer.Changed)
    @on(ChipsChanged)
    def _edited(self) -> None:
        if self._refused is not None and self.composer.text != self._refused:
            self._refused = None
            self.app.clear_notifications()  # the sentence was read, and lies over what is being mended
        self.composer.has_attachments = bool(self.chips.attachments)
        self._complete()
        if self._counting is not None:
            self._counting.stop()
        self._counting = self.set_timer(COUNT_DELAY, self._count)

    def _count(self) -> None:
        self.run_worker(self._count_tokens(), group="count", exclusive=True, exit_on_error=True)

    async def _count_tokens(self) -> None:
        text = self.composer.text.strip()
        for attachment in list(self.chips.attachments):
            if attachment.tokens is None:
                attachment.tokens = await self.session.count(quoting.quoted(attachment.quote))
                self.chips.refresh()
        tokens = await self.session.count(text) if text else None
        if self.composer.text.strip() == text:
            with_chips = (tokens or 0) + self.chips.tokens
            self.composer.count(with_chips if text or self.chips.tokens else None, self.session.context_left)

    # --- completion -------------------------------------------------------------------------------------

    def _complete(self) -> None:
        composer, offered = self.composer, self.completions
        composer.completions = offered
        line, text = composer.before_cursor, composer.text
        if text.startswith("/") and not text.startswith("//") and text == line and " " not in text:
            offered.offer(_commands(text[1:]))
            return
        query = attachments.query(line)
        if query is None:
            offered.offer(())
        else:
            self.run_worker(self._offer_files(query), group="files", exclusive=True, exit_on_error=True)

    async def _offer_files(self, query: str) -> None:
        found = await asyncio.to_thread(attachments.matching, query, Path.cwd())
        if attachments.query(self.composer.before_cursor) == query:
            self.completions.offer([_file(entry, len(query) + 1) for entry in found])

    @on(Completions.Chosen)
    def _clicked(self) -> None:
        self._completion_wanted(messages.CompletionWanted())

    @on(messages.CompletionWanted)
    def _completion_wanted(self, event: messages.CompletionWanted) -> None:
        composer, text = self.composer, self.composer.text
        if event.sends and text.startswith("/") and text[1:].strip().lower() in BY_NAME:
            self.completions.offer(())
            composer.action_send()
            return
        self._refresh_commands()  # keys may have been faster than the list
        chosen = self.completions.chosen
        self.completions.offer(())
        if chosen is None:
            if event.sends:
                composer.action_send()
        elif isinstance(chosen.value, Path):
            composer.complete("", chosen.length)
            self.run_worker(self.attach(chosen.value), exit_on_error=True)
        else:
            composer.complete(chosen.text, chosen.length)
            command = BY_NAME.get(chosen.text.strip("/ "))
            if event.sends and command is not None and not command.arguments:
                composer.action_send()

    def _refresh_commands(self) -> None:
        text = self.composer.text
        chosen = self.completions.chosen
        if text.startswith("/") and " " not in text and chosen is not None and chosen.length != len(text):
            self.completions.offer(_commands(text[1:]))

    # --- attachments ------------------------------------------------------------------------------------

    async def attach(self, path: Path) -> None:
        """Let a file go along with the message; what is wrong with it is told."""
        try:
            attachment = await asyncio.to_thread(attachments.read, path)
        except UserError as error:
            self.notify(error.sentence, severity="warning", timeout=8, markup=False)
            return
        self.chips.add(attachment)

    @on(messages.LongPaste)
    def _long_paste(self, event: messages.LongPaste) -> None:
        text = inert.block(event.text.replace("\r\n", "\n").replace("\r", "\n"))
        number = sum(attachment.pasted for attachment in self.chips.attachments) + 1
        name = _("Pasted text {number}").format(number=number)
        self.chips.add(Attachment(quoting.Quote(name, text), pasted=True))

    @on(Unfold)
    def _unfold(self, event: Unfold) -> None:
        attachment = event.attachment
        self.chips.drop(attachment)
        text = attachment.quote.text if attachment.pasted else quoting.quoted(attachment.quote)
        self.composer.distrust(text)
        self.composer.insert(text)
        self.composer.focus()

    # --- the user's own editor --------------------------------------------------------------------------

    def action_edit_outside(self) -> None:
        """Write the message in the user's own editor."""
        self.run_worker(self._edit_outside(), group="editor", exit_on_error=True)

    async def _edit_outside(self) -> None:
        try:
            text = await editor.edit(cast(LendingApp, self.app), lambda: self.composer.text)
        except UserError as error:
            self.notify(error.sentence, severity="warning", timeout=8, markup=False)
            return
        self.composer.put(text)
        self.composer.focus()

    # --- what stands around the message -----------------------------------------------------------------

    def action_window(self) -> None:
        """What fills the window, and what to leave out."""
        from chatterm.tui.screens.context import ContextScreen

        self.app.push_screen(ContextScreen(self.session, self.draft))

    @property
    def draft(self) -> str:
        """What would be sent now."""
        text = self.composer.text.strip()
        return attachments.message(self.chips.attachments, "" if text.startswith("/") else text)

    def action_edit_system_prompt(self) -> None:
        """Edit the system prompt of this conversation."""
        from chatterm.tui.screens.system_prompt import SystemPromptScreen

        self.app.push_screen(SystemPromptScreen(self.session))

    def action_presets(self) -> None:
        """Choose, save, rename, delete presets."""
        from chatterm.tui.screens.presets import PresetsScreen

        self.app.push_screen(PresetsScreen(self.session))

    def action_raw(self) -> None:
        """The rendered template, to be read and edited."""
        self.run_worker(self._open_raw(), exit_on_error=True)

    async def _open_raw(self) -> None:
        from chatterm.tui.screens.raw import RawScreen

        try:
            rendered = await self.session.rendered(self.draft)
        except UserError as error:
            self.notify(error.sentence, severity="warning", timeout=8, markup=False)
            return
        self.app.push_screen(RawScreen(self.session, rendered))


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
