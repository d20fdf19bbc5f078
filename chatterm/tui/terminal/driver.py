"""The application's hold on the terminal: taking it over, giving it back as it was, and being put to sleep.

Textual's own driver waits for the terminal while it writes, so that one which stops reading stops everything.
It dies of bytes that are no text, spins when the terminal has gone, and takes the terminal over twice when it
is only told to go on. The rest of Textual's contract with a driver is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from textual import constants, events
from textual.app import ScreenStackError
from textual.driver import Driver
from textual.geometry import Size
from textual.message import Message
from textual.message_pump import MessagePump
from textual.messages import InBandWindowResize

from chatterm.tui.terminal import opening
from chatterm.tui.terminal.input import InputReader
from chatterm.tui.terminal.opening import Opening
from chatterm.tui.terminal.output import SYNC, Output, is_drawing

if TYPE_CHECKING:
    from textual.app import App

READ_BYTES: Final = 1 << 16
TICK: Final = 0.05
"""Seconds between two looks at the clock while what was read may be the beginning of something."""
PAUSE: Final = 0.01
"""Seconds between two looks at whether the application has caught up with what was typed."""
MOST_WAITING: Final = 64
"""Messages. What is typed beyond waits in the terminal."""
PATIENCE: Final = 2.0
"""Seconds that a terminal has to take in the last of what was written, before it is given up."""
CHARACTERS_PER_CELL: Final = 4
"""What a cell takes on the way to the terminal, colours and all, in a screen that is drawn as a whole."""

KITTY_KEYS: Final = 0b1 | 0b1000 | 0b10000
"""Kitty's keyboard protocol: unambiguous keys, all of them, and the text that they stand for."""
OLD: Final = ("linux", "vt", "ansi", "cons", "sun", "wy")
"""Terminals (TERM begins so) that print pieces of sequences which came after their time."""

_ENTER: Final = f"{opening.ENTER}\x1b[?1000h\x1b[?1003h\x1b[?1006h\x1b[?1004h"
_ENTER_AGAIN: Final = _ENTER.replace("?1049h", "?1047h")  # the cursor that is to come back has been saved
_ASK_WHAT_IT_CAN: Final = "\x1b[?2026$p\x1b[?2048$p"
_PUSH_KEYS, _SET_KEYS, _POP_KEYS = f"\x1b[>{KITTY_KEYS}u", f"\x1b[={KITTY_KEYS}u", "\x1b[<u"
_LEAVE_NEW: Final = "\x1b[?2048l\x1b[?1016l\x1b[?2026l"
_LEAVE: Final = "\x1b[?2004l\x1b[?1004l\x1b[?1006l\x1b[?1003l\x1b[?1000l\x1b[0m\x1b[?7h"
_AFTER_OTHERS: Final = f"\x1b[?1002l\x1b[?1l{_LEAVE}\x1b[?25h"  # … with what only other programs switch on
_LEAVE_OLD_SCREEN: Final = "\x1b[2J\x1b[H"
_LEAVE_SCREEN: Final = "\x1b[?1049l\x1b[?25h"
_POINTER: Final = "\x1b]22;"
_USUAL_POINTER: Final = "\x1b]22;default\x07"
_CANCEL: Final = "\x18"
"""Ends a sequence that was cut off."""


class TerminalDriver(Driver):
    """Textual's driver for a terminal under POSIX."""

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        assert sys.__stdin__ is not None and sys.__stdout__ is not None
        self.fileno = sys.__stdin__.fileno()
        self._out = sys.__stdout__.fileno()
        self._encoding = sys.__stdout__.encoding or "utf-8"
        self._is_old = os.environ.get("TERM", "").startswith(OLD)
        self._can_be_asked = not self._is_old and os.environ.get("TERM_PROGRAM") != "Apple_Terminal"
        self._has_kitty_keys = not self._is_old and not constants.DISABLE_KITTY_KEY
        self._before: list[Any] | None = None
        self._output: Output | None = None
        self._writing_to = -1
        self._input: threading.Thread | None = None
        self._wake: tuple[int, int] | None = None
        self._in_band_resize = False
        self._pointer_changed = False
        self._is_lent = False
        self._opening: Opening | None = None
        self._listens = False
        self._typed = b""  # before anybody listened
        self._first_drawings: list[str] | None = []
        signal.signal(signal.SIGTSTP, self._asked_to_sleep)
        signal.signal(signal.SIGCONT, self._woken)

    @property
    def can_suspend(self) -> bool:
        """The application can leave the terminal to others for a while."""
        return True

    def take_over(self, opening: Opening) -> None:
        """Go on from what has been done with the terminal before there was an application."""
        self._opening = opening

    # --- writing ----------------------------------------------------------------------------------------

    def write(self, data: str) -> None:
        """Write soon; nothing waits for it."""
        if self._output is not None:
            if self._first_drawings is not None and data not in SYNC and is_drawing(data):
                self._first_drawings.append(data)
            self._pointer_changed |= data.startswith(_POINTER)
            self._output.write(data)

    def first_drawings(self) -> list[str]:
        """What has been drawn until now; what comes later is not kept."""
        drawings, self._first_drawings = self._first_drawings or [], None
        return drawings

    def _limit(self) -> int:
        columns, rows = self._terminal_size()
        return max(1 << 15, columns * rows * CHARACTERS_PER_CELL)

    def _redraw(self) -> None:
        """The terminal has moved what it shows, as they do when their size changes."""
        if self._output is not None:
            self._output.redraw()

    def _caught_up(self) -> None:
        self._tell_loop(lambda: self._app.refresh(layout=True))

    def _tell_loop(self, act: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(act)

    # --- taking over and giving back --------------------------------------------------------------------

    def start_application_mode(self) -> None:
        """Take the terminal over."""
        if self._output is not None:
            return
        begun, self._opening = self._opening, None
        with contextlib.suppress(termios.error):
            self._before = termios.tcgetattr(self.fileno)
        if begun is not None:
            begun.hand_over()
            self._before = begun.before
        self._make_raw()
        self._writing_to = _own_descriptor(self._out)
        self._output = Output(self._writing_to, self._encoding, self._limit, self._caught_up)
        self._output.start()
        self.write(_ENTER.removeprefix(opening.ENTER) if begun is not None and begun.has_entered else _ENTER)
        if self._has_kitty_keys:
            self.write(_PUSH_KEYS)
        if self._can_be_asked:
            self.write(_ASK_WHAT_IT_CAN)
        signal.signal(signal.SIGWINCH, self._resized)
        self._tell_size()
        if begun is not None:
            self._typed = begun.typed
        if self._listens:
            self._start_reading()

    def _make_raw(self) -> None:
        """No echo, no lines, no signals, no translation: what is typed comes here at once and as it is."""
        if self._before is None:
            return
        raw = list(self._before)
        raw[tty.CC] = list(self._before[tty.CC])
        signals = 0 if os.environ.get("TEXTUAL_ALLOW_SIGNALS") else termios.ISIG
        raw[tty.LFLAG] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | signals)
        raw[tty.IFLAG] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
        raw[tty.CC][termios.VMIN] = 1
        raw[tty.CC][termios.VTIME] = 0
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self.fileno, termios.TCSANOW, raw)

    def stop_application_mode(self) -> None:
        """Give the terminal back as it was found. It may have stopped reading, or have gone."""
        output, self._output = self._output, None
        if output is None:
            return
        self._stop_reading()
        leave = ("" if self._is_old else _LEAVE_NEW) + (_POP_KEYS if self._has_kitty_keys else "") + _LEAVE
        if self._pointer_changed:
            leave += _USUAL_POINTER
        leave += (_LEAVE_OLD_SCREEN if self._is_old else "") + _LEAVE_SCREEN
        output.write(leave)
        if not output.stop(PATIENCE):
            output.give_up()
            self._leave_a_stuck_terminal(output, leave)
        if not output.is_alive():
            os.close(self._writing_to)
        self._in_band_resize = False
        if self._before is not None:
            with contextlib.suppress(termios.error):
                termios.tcflush(self.fileno, termios.TCIFLUSH)  # what was typed was meant for this program
                termios.tcsetattr(self.fileno, termios.TCSANOW, self._before)

    def _leave_a_stuck_terminal(self, output: Output, leave: str) -> None:
        """Throw away what it has not read, so that there is room for what it has to know."""
        with contextlib.suppress(termios.error, OSError):
            output.join(PATIENCE)
            termios.tcflush(self._out, termios.TCOFLUSH)
            if not output.is_alive() and select.select([], [self._writing_to], [], 0)[1]:
                os.write(self._writing_to, (_CANCEL + leave).encode(self._encoding, "replace"))

    def disable_input(self) -> None:
        """Read no more."""
        self._stop_reading()

    def suspend_application_mode(self) -> None:
        """Give it back for another program."""
        super().suspend_application_mode()
        self._is_lent = True

    def resume_application_mode(self) -> None:
        """Take it back from the other program."""
        self.close()
        super().resume_application_mode()

    def close(self) -> None:
        """Set it as it was found once more: the program that had it may have died and left it otherwise."""
        if self._is_lent and self._before is not None:
            with contextlib.suppress(termios.error, OSError):
                back = _AFTER_OTHERS
                if not select.select([], [self._out], [], 0)[1]:  # nobody reads what that program wrote
                    termios.tcflush(self._out, termios.TCOFLUSH)
                    back = _CANCEL + back
                if select.select([], [self._out], [], 0)[1]:
                    os.write(self._out, back.encode())
                termios.tcflush(self.fileno, termios.TCIFLUSH)  # what was typed was meant for that program
                termios.tcsetattr(self.fileno, termios.TCSANOW, self._before)
        self._is_lent = False

    # --- sleeping ---------------------------------------------------------------------------------------

    def _asked_to_sleep(self, _number: int, _frame: FrameType | None) -> None:
        if self._auto_restart:
            self._tell_loop(self._sleep)  # not here: this may interrupt whatever the loop is doing
        else:
            self._stop_the_process()  # an editor has the terminal

    def _sleep(self) -> None:
        if self._output is None:
            self._stop_the_process()
            return
        self.stop_application_mode()
        self._stop_the_process()
        self.start_application_mode()
        self._app.post_message(self.SignalResume())
        self._app.refresh(layout=True)

    def _stop_the_process(self) -> None:
        """As the usual answer to SIGTSTP does it: the whole job, and only where a shell can wake it again."""
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(0, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._asked_to_sleep)

    def _woken(self, _number: int, _frame: FrameType | None) -> None:
        self._tell_loop(self._look_after_waking)

    def _look_after_waking(self) -> None:
        """After a SIGSTOP, which nobody can prepare for, the terminal may have been changed by others."""
        if self._output is not None:
            self._make_raw()
            self.write(_ENTER_AGAIN + (_SET_KEYS if self._has_kitty_keys else ""))
            self._app.refresh(layout=True)

    # --- reading ----------------------------------------------------------------------------------------

    def listen(self) -> None:
        """From now on there is somebody for what is typed, and has been typed until now."""
        if not self._listens:
            self._listens = True
            if self._output is not None:
                self._start_reading()

    def _start_reading(self) -> None:
        self._wake = os.pipe()
        typed, self._typed = self._typed, b""
        self._input = threading.Thread(
            target=self._read, args=(self._wake[0], typed), daemon=True, name="terminal input"
        )
        self._input.start()

    def _stop_reading(self) -> None:
        reader, self._input = self._input, None
        if reader is None or self._wake is None:
            return
        os.write(self._wake[1], b".")
        reader.join()
        for end in self._wake:
            os.close(end)
        self._wake = None

    def _read(self, wake: int, data: bytes) -> None:
        """Pass on what is typed, after the `data` read before, until something comes out of `wake`."""
        reader = InputReader()
        if not self._pass_on(reader.feed(data, monotonic()), wake):
            return
        while True:
            ready = select.select([self.fileno, wake], [], [], TICK if reader.is_waiting else None)[0]
            if wake in ready:
                return
            if not ready:
                found = reader.tick(monotonic())
            else:
                try:
                    data = os.read(self.fileno, READ_BYTES)
                except OSError:
                    data = b""
                if not data:
                    self._gone()
                    return
                found = reader.feed(data, monotonic())
            if not self._pass_on(found, wake):
                return

    def _pass_on(self, found: Iterator[Message], wake: int) -> bool:
        """As fast as the application takes it; False if there is to be no more of it."""
        for message in found:
            self.process_message(message)
            while self._has_enough_to_do():
                if select.select([wake], [], [], PAUSE)[0]:
                    return False
        return True

    def _has_enough_to_do(self) -> bool:
        """Whether so much typed is waiting that more would only make leaving wait too."""
        pumps: list[MessagePump] = [self._app]
        with contextlib.suppress(ScreenStackError):
            screen = self._app.screen
            pumps += [screen] if screen.focused is None else [screen, screen.focused]
        return sum(pump._message_queue.qsize() for pump in pumps) > MOST_WAITING

    def _gone(self) -> None:
        """Nobody will ever type anything again: the same as a hang-up, which not every process is told of."""
        os.kill(os.getpid(), signal.SIGHUP)

    def process_message(self, message: Message) -> None:
        """Pass on what the terminal said, but for what only the driver needs to know."""
        if isinstance(message, InBandWindowResize):
            if message.supported:
                self._in_band_resize = True
                if not message.enabled:
                    self.write("\x1b[?2048h")
                super().process_message(InBandWindowResize(True, True))
                self.write("\x1b[?1016h")  # the mouse in pixels
            return
        if isinstance(message, events.Resize):
            if not self._in_band_resize:
                return  # nobody asked
            message = self._true(message)
            super().process_message(message)
            self._draw_anew()
            return
        super().process_message(message)

    # --- size -------------------------------------------------------------------------------------------

    def _terminal_size(self) -> tuple[int, int]:
        columns, rows = shutil.get_terminal_size()
        return columns or 80, rows or 24

    def _true(self, message: events.Resize) -> events.Resize:
        """The size as the system knows it, which no sequence that was pasted or cut off can make absurd."""
        return events.Resize.from_dimensions(self._terminal_size(), message.pixel_size)

    def _resized(self, _number: int, _frame: FrameType | None) -> None:
        if not self._in_band_resize:
            self._tell_loop(self._tell_size)

    def _tell_size(self) -> None:
        size = Size(*self._terminal_size())
        event = events.Resize(size, size)
        asyncio.run_coroutine_threadsafe(self._app._post_message(event), loop=self._loop)
        self._draw_anew()

    def _draw_anew(self) -> None:
        """The size may be what it was, after another that nobody saw; the terminal's rows are not."""
        self._redraw()
        self._tell_loop(lambda: self._app.refresh(layout=True))


def _own_descriptor(terminal: int) -> int:
    """Another descriptor of the terminal, that does not block: the first one is shared with the shell."""
    try:
        return os.open(os.ttyname(terminal), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return os.dup(terminal)
