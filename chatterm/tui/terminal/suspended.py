"""Another program in the terminal for a while, such as the user's editor. The chat goes on behind it.

With Textual's own way of doing this everything waits for the program: a growing reply is not saved, the
engine is not read, signals are not heard. And the terminal is not taken back when something goes wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from textual import events
from textual.app import App, ScreenStackError
from textual.message_pump import MessagePump

from chatterm.errors import UserError
from chatterm.language import _

if TYPE_CHECKING:
    import psutil

TYPED_SECONDS = 0.5
"""For so long at most, what was typed before is waited for until it is done."""
PATIENCE = 2.0
"""Seconds that a program has to end when the chat is left, before it is ended by force."""


def _family(pid: int) -> list[psutil.Process]:
    """A program and all that it has begun: an editor may be a script that runs another."""
    import psutil

    try:
        program = psutil.Process(pid)
        return [program, *program.children(recursive=True)]
    except psutil.Error:
        return []


def _is_there(process: psutil.Process) -> bool:
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


class LendingApp(App[int]):
    """An application that can leave the terminal to another program."""

    is_lent = False
    """Whether another program has the terminal: nothing is drawn then, and nothing typed is for the chat."""
    _guest: asyncio.subprocess.Process | None = None

    @contextlib.asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Give the terminal away as it was found, and take it back afterwards unless the chat has been left.

        Raises:
            UserError: it cannot be given away, or has been already.
        """
        driver = self._driver
        if driver is None or not driver.can_suspend:
            raise UserError(_("Another program cannot be opened here, as in a browser."))
        if self.is_lent:
            raise UserError(_("Another program has the terminal already."))
        self.is_lent = True
        try:
            await self._until_typed()
            driver.suspend_application_mode()  # what is drawn from now on goes nowhere
            try:
                with driver.no_automatic_restart():
                    yield
            finally:
                if self.is_running and not self._exit:
                    driver.resume_application_mode()
                    self.refresh(layout=True)
        finally:
            self.is_lent = False

    async def run_outside(self, words: Sequence[str]) -> int:
        """Run a program in the terminal that was given away, and wait for its end; its exit status.

        Raises:
            OSError: it cannot be started.
            ValueError: these are no words of a command.
        """
        self._guest = await asyncio.create_subprocess_exec(*words)
        try:
            return await self._guest.wait()
        finally:
            await self._end_guest()

    async def _end_guest(self) -> None:
        guest, self._guest = self._guest, None
        if guest is None or guest.returncode is not None:
            return
        import psutil

        family = _family(guest.pid)
        for end in (psutil.Process.terminate, psutil.Process.kill):
            for one in family:
                with contextlib.suppress(psutil.Error):
                    end(one)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await guest.wait()
                    while any(map(_is_there, family)):  # noqa: ASYNC110 - nobody tells when they end
                        await asyncio.sleep(0.02)
                    return

    async def _until_typed(self) -> None:
        """Let what was typed before be done: it is older than the program that is about to begin."""
        end = monotonic() + TYPED_SECONDS
        calm = 0
        while calm < 2 and monotonic() < end:
            await asyncio.sleep(0.01)
            pumps: list[MessagePump] = [self]
            with contextlib.suppress(ScreenStackError):
                pumps += [self.screen] if self.focused is None else [self.screen, self.focused]
            calm = 0 if any(pump._message_queue.qsize() for pump in pumps) else calm + 1

    async def on_event(self, event: events.Event) -> None:
        """What is typed while another program has the terminal is not for the chat."""
        if self.is_lent and isinstance(event, (events.InputEvent, events.Paste)) and not event.is_forwarded:
            return
        await super().on_event(event)

    async def _shutdown(self) -> None:
        """The shell that comes next has the terminal for itself."""
        await self._end_guest()
        await super()._shutdown()
