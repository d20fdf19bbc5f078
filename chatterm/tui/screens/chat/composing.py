"""The message that is being written: sending, slash commands, attachments, and whether it still fits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from textual.screen import Screen
from textual.timer import Timer

from chatterm import inert, quoting
from chatterm.chat import attachments
from chatterm.chat.attachments import Attachment
from chatterm.chat.session import ChatSession
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.tui.commands.table import Command, parse
from chatterm.tui.screens.chat.completing import Completing
from chatterm.tui.screens.chat.token_walk import TokenWalk
from chatterm.tui.terminal import editor
from chatterm.tui.terminal.suspended import LendingApp
from chatterm.tui.widgets.chips import Chips
from chatterm.tui.widgets.composer import Composer

COUNT_DELAY = 0.15
"""Seconds of quiet after which a message that is being written is counted in tokens."""

TEMPLATE_ROOM = 64
"""Tokens that a template may put around a message and still leaves room for."""


class Composing:
    """What is done with the message, from the first sign to the moment at which it is sent."""

    def __init__(
        self,
        screen: Screen[None],
        session: ChatSession,
        *,
        composer: Composer,
        chips: Chips,
        completing: Completing,
        walk: TokenWalk,
        run_command: Callable[[Command, str], Awaitable[None]],
    ) -> None:
        self._screen = screen
        self._session = session
        self._composer = composer
        self._chips = chips
        self._completing = completing
        self._walk = walk
        self._run = run_command
        self._counting: Timer | None = None
        self._refused: str | None = None  # what was written and not sent
        self._without_file: str | None = None  # … since it names a file that is not there

    @property
    def draft(self) -> str:
        """What would be sent now."""
        text = self._composer.text.strip()
        return attachments.message(self._chips.attachments, "" if text.startswith("/") else text)

    # --- sending ----------------------------------------------------------------------------------------

    def submit(self, written: str) -> None:
        """Send a message, or run it as a command."""
        self._completing.close()
        try:
            said = parse(written)
        except UserError as error:
            self._give_back(written, error)
            return
        if isinstance(said, str):
            self._say(said, written)
        else:
            self._screen.run_worker(self._run_command(said.command, said.rest, written), exit_on_error=True)

    def _say(self, said: str, written: str) -> None:
        try:
            again, self._without_file = written == self._without_file, None
            missing = None if again else attachments.missing(said, Path.cwd())
            if missing is not None:
                self._without_file = written
                raise UserError(
                    _("There is no file {name}: nothing was sent. Enter once more sends it as words.").format(
                        name=inert.line(missing)
                    )
                )
            named = attachments.mentioned(said, Path.cwd())
            for path in named:
                if path not in self._composer.foreign:
                    self._chips.add(attachments.read(path))
        except UserError as error:
            self._give_back(written, error)
            return
        if foreign := [path for path in named if path in self._composer.foreign]:
            self._screen.notify(
                _(
                    "{name} was not attached: a text from elsewhere names it. "
                    "Write @ and choose it, if you want it to be."
                ).format(name=inert.line(foreign[0].name)),
                markup=False,
                timeout=8,
            )
        message = attachments.message(self._chips.attachments, said)
        left = self._session.context_left
        # a token is at least a byte of text, so what is short enough needs no counting
        if left is None or len(message.encode("utf-8", "replace")) + TEMPLATE_ROOM < left:
            self._send(message)
        else:
            self._screen.run_worker(self._send_if_it_fits(message, written), exit_on_error=True)

    def _send(self, message: str) -> None:
        self._chips.take()
        self._walk.leave()
        self._session.send(message)

    async def _send_if_it_fits(self, message: str, written: str) -> None:
        try:
            filling = await self._session.fill(message)
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
        await self._screen.run_action("window")

    def _give_back(self, written: str, error: UserError) -> None:
        """Nothing was sent: what was written stands in the composer again."""
        if not self._composer.text.strip():
            self._composer.put(written)
        self._refused = written
        self._complain(error)

    def _complain(self, error: UserError) -> None:
        self._screen.notify(error.sentence, severity="warning", timeout=8, markup=False)

    # --- commands ---------------------------------------------------------------------------------------

    async def _run_command(self, command: Command, rest: str, written: str = "") -> None:
        try:
            await self._run(command, rest)
        except UserError as error:
            self._give_back(written, error)

    def begin_command(self, command: Command) -> None:
        """Run a command that needs nothing more; any other is put into the message, to be completed."""
        if not command.needs_more:
            self._screen.run_worker(self._run_command(command, ""), exit_on_error=True)
            return
        self._composer.focus()
        self._composer.put(f"/{command.name} ")

    # --- counting ---------------------------------------------------------------------------------------

    def edited(self) -> None:
        """The message or what goes along with it has changed."""
        if self._refused is not None and self._composer.text != self._refused:
            self._refused = None
            self._screen.app.clear_notifications()  # it was read, and lies over what is being mended
        self._composer.has_attachments = bool(self._chips.attachments)
        self._completing.look()
        if self._counting is not None:
            self._counting.stop()
        self._counting = self._screen.set_timer(COUNT_DELAY, self._count)

    def _count(self) -> None:
        self._screen.run_worker(self._count_tokens(), group="count", exclusive=True, exit_on_error=True)

    async def _count_tokens(self) -> None:
        composer, chips = self._composer, self._chips
        text = composer.text.strip()
        for attachment in list(chips.attachments):
            if attachment.tokens is None:
                attachment.tokens = await self._session.count(quoting.quoted(attachment.quote))
                chips.refresh()
        tokens = await self._session.count(text) if text else None
        if composer.text.strip() == text:
            with_chips = (tokens or 0) + chips.tokens
            composer.count(with_chips if text or chips.tokens else None, self._session.context_left)

    # --- attachments ------------------------------------------------------------------------------------

    async def attach(self, path: Path) -> None:
        """Let a file go along with the message; what is wrong with it is told."""
        try:
            attachment = await asyncio.to_thread(attachments.read, path)
        except UserError as error:
            self._complain(error)
            return
        self._chips.add(attachment)

    def attach_paste(self, pasted: str) -> None:
        """Let a long text that was pasted go along."""
        text = inert.block(pasted.replace("\r\n", "\n").replace("\r", "\n"))
        number = sum(attachment.pasted for attachment in self._chips.attachments) + 1
        name = _("Pasted text {number}").format(number=number)
        self._chips.add(Attachment(quoting.Quote(name, text), pasted=True))

    def detach_all(self) -> None:
        """Nothing goes along."""
        self._chips.take()

    def unfold(self, attachment: Attachment) -> None:
        """Put the text of an attachment into the message."""
        self._chips.drop(attachment)
        text = attachment.quote.text if attachment.pasted else quoting.quoted(attachment.quote)
        self._composer.distrust(text)
        self._composer.insert(text)
        self._composer.focus()

    # --- the user's own editor --------------------------------------------------------------------------

    def edit_outside(self) -> None:
        """Write the message in the user's own editor."""
        self._screen.run_worker(self._edit_outside(), group="editor", exit_on_error=True)

    async def _edit_outside(self) -> None:
        try:
            text = await editor.edit(cast(LendingApp, self._screen.app), lambda: self._composer.text)
        except UserError as error:
            self._complain(error)
            return
        self._composer.put(text)
        self._composer.focus()
