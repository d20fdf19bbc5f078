"""Terminals of sixteen colours, slow links and input methods: what really comes out of the program."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from abused import AbusedTerminal
from terminal import Terminal

pytestmark = pytest.mark.e2e

PROGRAM = [sys.executable, str(Path(__file__).with_name("scripted_program.py"))]
COMPOSER = "Ask something"


class SlowTerminal(Terminal):
    """Takes `rate` bytes a second from the program once that is set."""

    rate = 0

    def read(self, seconds: float = 0.05) -> None:
        """Take in what has come through."""
        if not self.rate:
            super().read(seconds)
            return
        time.sleep(0.05)
        try:
            data = self.process.read_nonblocking(self.rate // 20, timeout=0)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return
        self.raw += data
        self.take(data)


@contextmanager
def begun(folder: Path, size=(100, 30), theme="auto", **variables: str) -> Iterator[SlowTerminal]:
    """The program with the scripted engine, as soon as one can talk with it."""
    (folder / "config").mkdir()
    (folder / "config" / "config.toml").write_text(f'theme = "{theme}"\n')
    terminal = SlowTerminal([], folder, *size, variables, PROGRAM)
    try:
        terminal.wait("is ready")
        yield terminal
    finally:
        terminal.process.close(force=True)


def leave(terminal: Terminal) -> None:
    terminal.press("ctrl+q")
    assert terminal.end(60) == 0


def styles(terminal: Terminal) -> set[bytes]:
    """The parameters of everything that set a style."""
    return set(re.findall(rb"\x1b\[([\d;:]*)m", terminal.raw))


def unreadable(terminal: Terminal) -> list[str]:
    """Texts in the colour of their ground."""
    rows = [[terminal.screen.buffer[y][x] for x in range(terminal.screen.columns)] for y in range(30)]
    found = [
        "".join(c.data if c.data.strip() and c.fg == c.bg != "default" else " " for c in r) for r in rows
    ]
    return [text.strip() for text in found if text.strip()]


def words(screen: str) -> list[str]:
    """The rows of the conversation, without the scroll bar."""
    return [row[:79].rstrip() for row in screen.splitlines()[1:18]]


@pytest.mark.parametrize(
    ("name", "theme"), [("linux", "auto"), ("xterm", "chatterm-dark"), ("screen", "chatterm-light")]
)
def test_sixteen_colours_are_used_and_can_be_read(tmp_path, name, theme):
    with begun(tmp_path, theme=theme, TERM=name, COLORTERM="") as terminal:
        assert not unreadable(terminal)
        terminal.type("hello there")
        terminal.wait("hello there")
        terminal.press("enter")
        terminal.wait("blue moon.")
        terminal.wait("first token")
        assert not unreadable(terminal)
        if theme == "auto":  # the terminal's own ground everywhere: nobody knows whether it is light
            cells = [cell for row in terminal.screen.buffer.values() for cell in row.values()]
            assert {cell.bg for cell in cells} == {"default"}
        terminal.press("f2")
        terminal.wait("token 16 of 16")
        assert not unreadable(terminal)
        terminal.press("f3")
        terminal.wait("Scripted-70B")
        assert not unreadable(terminal), "the chosen row of the picker"
        terminal.press("escape")
        terminal.wait("token 16 of 16")
        terminal.press("f4")
        terminal.wait("min-p")
        assert not unreadable(terminal), "the chosen value"
        leave(terminal)
    numbers = {int(number or 0) for style in styles(terminal) for number in re.split(rb"[;:]", style)}
    assert numbers <= {*range(10), *range(22, 30), *range(30, 38), 39, *range(40, 48), 49, *range(90, 108)}
    assert numbers & {*range(30, 38), *range(90, 98)}


def test_a_palette_of_256_gets_no_others(tmp_path):
    with begun(tmp_path, TERM="xterm-256color", COLORTERM="") as terminal:
        assert not unreadable(terminal)
        leave(terminal)
    assert any(b"38;5;" in style for style in styles(terminal))
    assert not any(b"38;2;" in style or b"48;2;" in style for style in styles(terminal))


def test_the_cursor_of_the_terminal_stands_where_one_writes(tmp_path):
    """There an input method draws what is being composed."""
    with begun(tmp_path) as terminal:

        def stands(line: str, column: int) -> None:
            """Wait until it does: in the lowest line that holds this text, so many cells from its frame."""

            def there(_screen: str) -> bool:
                rows = [y for y, row in enumerate(terminal.screen.display) if line in row and row[0] == "│"]
                cursor = terminal.screen.cursor
                return bool(rows) and (cursor.y, cursor.x) == (rows[-1], 2 + column)

            terminal.wait(there)

        stands(COMPOSER, 0)
        terminal.type("你好 ok")  # a composed text comes as one piece …
        stands("ok", 7)
        terminal.press("ctrl+j")
        terminal.type("\x1b[200~苹果\x1b[201~")  # … or as a paste
        stands("苹", 4)
        terminal.press("left")
        stands("苹", 2)
        terminal.resize(80, 24)
        stands("苹", 2)
        terminal.resize(120, 30)
        stands("苹", 2)
        terminal.press("f3")
        terminal.wait("Scripted-70B")
        terminal.press("escape")
        stands("苹", 2)
        leave(terminal)


def test_one_can_write_behind_a_slow_link_while_a_reply_grows(tmp_path):
    variables = {"CHATTERM_TEST_DELAY": "0.02", "CHATTERM_TEST_HAIKUS": "100"}
    with begun(tmp_path, (80, 24), **variables) as terminal:
        terminal.type("hello")
        terminal.wait("hello")
        terminal.press("enter")
        terminal.wait("tok/s")
        terminal.rate = 9600
        for word in ("zebra", "苹果"):
            for _ in range(30):
                terminal.read()
            before = len(terminal.raw)
            terminal.type(word)
            terminal.wait(word)
            # Everything that waited came before it: what the system holds, about 12 kB, and a few drawings.
            assert len(terminal.raw) - before < 30_000
        assert "tok/s" in terminal.text, "the reply has come to its end before the link could be slow"
        terminal.rate = 0
        terminal.press("escape")
        terminal.wait(lambda screen: "stopped" in screen and "first token" in screen)
        terminal.read(1)
        seen = words(terminal.text)
        terminal.resize(79, 24)
        terminal.wait(lambda screen: all(len(row.rstrip()) < 80 for row in screen.splitlines()))
        terminal.resize(80, 24)
        terminal.wait(lambda screen: words(screen) == seen)  # nothing is missing of what was thrown away
        leave(terminal)


@pytest.mark.parametrize("modern", [False, True])
def test_a_size_that_comes_back_at_once_leaves_nothing_of_the_other(tmp_path, modern):
    """As when a pane is zoomed and back: the program sees one size, and the terminal has moved its rows."""
    terminal = AbusedTerminal(tmp_path, 120, 40, program=PROGRAM, modern=modern)
    try:
        terminal.wait("is ready on")
        terminal.read(0.5)
        whole = terminal.screen.display[-3:]
        for size in ((80, 24), (200, 10)):
            terminal.resize(*size)
            terminal.resize(120, 40)
            terminal.wait(lambda _screen: terminal.screen.display[-3:] == whole)
    finally:
        terminal.close()
