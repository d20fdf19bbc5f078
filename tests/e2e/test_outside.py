"""The user's own editor in the terminal of the chat: nobody draws over it, and the chat goes on behind it."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from abused import AbusedTerminal

pytestmark = pytest.mark.e2e

PROGRAM = [sys.executable, str(Path(__file__).with_name("scripted_program.py"))]
CTRL_C, CTRL_E, ESCAPE = b"\x03", b"\x05", b"\x1b"


def tokens(folder: Path) -> int:
    """How many are saved."""
    (file,) = (folder / "data").glob("*.sqlite3")
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT coalesce(sum(count), 0) FROM chunk").fetchone()[0])


def statuses(folder: Path) -> list[str]:
    (file,) = (folder / "data").glob("*.sqlite3")
    with closing(sqlite3.connect(file)) as connection:
        return [status for (status,) in connection.execute("SELECT status FROM message ORDER BY id")]


class Editing(AbusedTerminal):
    """A chat that writes a long reply, with an editor that has the terminal until it is told to save.

    The editor takes the terminal's keys as they are and does not put it back, as one that dies does not.
    """

    def __init__(self, folder: Path, script: str = "") -> None:
        editor = folder / "editor"
        editor.write_text(
            script
            or f'#!/bin/sh\ncd "{folder}"\necho $$ >>started\ntrap "" INT\nprintf "(the editor)"\n'
            'while [ ! -e go ]; do sleep 0.05; done\nstty raw -echo\nprintf "(its end)"\n'
            'printf " edited" >>"$1"\n'
        )
        editor.chmod(0o700)
        variables = {
            "VISUAL": str(editor),
            "CHATTERM_TEST_DELAY": "0.03",
            "CHATTERM_TEST_HAIKUS": "100",
        }
        self._place = folder
        super().__init__(folder, program=PROGRAM, variables=variables, modern=True)

    def open(self) -> None:
        """Let a reply begin, write a draft, and open the editor."""
        self.begin()
        self.type("a draft")
        self.wait("a draft")
        self.send(CTRL_E)
        self.wait(lambda _screen: b"(the editor)" in self.raw)

    @property
    def started(self) -> list[int]:
        return [int(line) for line in (self._place / "started").read_text().split()]

    def editor_lives(self) -> bool:
        return psutil.pid_exists(self.started[0]) and (
            psutil.Process(self.started[0]).status() != psutil.STATUS_ZOMBIE
        )


@pytest.fixture
def editing(tmp_path):
    terminal = Editing(tmp_path)
    try:
        terminal.open()
        yield terminal
    finally:
        terminal.close()


def test_nobody_draws_over_it_and_the_reply_goes_on_being_saved(editing, tmp_path):
    before = tokens(tmp_path)
    editing.send(b"xyz" + CTRL_E)  # the terminal shows them itself, as nobody has asked it not to
    editing.wait(lambda _screen: editing.raw.endswith(b"xyz^E"))
    editing.send(CTRL_C)  # by which the terminal throws away what nobody has read yet
    editing.wait(lambda _screen: tokens(tmp_path) > before + 30)
    assert editing.process.isalive()
    (tmp_path / "go").touch()
    editing.wait(lambda _screen: b"(its end)" in editing.raw)
    shown = re.search(rb"\(the editor\)(.*)\(its end\)", editing.raw, re.DOTALL)
    assert shown is not None and shown[1] == b"xyz^E^C"
    editing.wait("a draft edited")
    screen = editing.wait("mirror")
    assert "(the editor)" not in screen and "xyz" not in screen
    assert editing.started and len(editing.started) == 1, "what was typed meanwhile was not for the chat"
    editing.type("!")
    editing.wait("a draft edited!")
    editing.send(b"\x11")
    assert editing.leave() == 0
    editing.read_the_rest()
    editing.assert_as_it_was()
    editing.assert_nobody_is_left()
    assert statuses(tmp_path) == ["done", "stopped"]


def test_a_signal_is_heard_and_the_editor_goes_first(editing, tmp_path):
    before = len(editing.raw)
    editing.signal(signal.SIGTERM)
    assert editing.leave() == 128 + signal.SIGTERM
    editing.read_the_rest()
    assert re.sub(rb"\x1b\[[?\d]+[a-z]", b"", editing.raw[before:]) == b"", "only modes are set back"
    editing.assert_as_it_was()
    assert not editing.editor_lives()
    editing.assert_nobody_is_left()
    assert statuses(tmp_path) == ["done", "stopped"]


def test_an_editor_behind_a_script_goes_too_and_what_it_switched_on(tmp_path):
    """As `sensible-editor` runs vim, which takes the mouse."""
    (tmp_path / "vim").write_text(
        'echo $$ >>started\nprintf "\\033[?1000h\\033[?1002h\\033[?1006h\\033[?25l(the editor)"\n'
        "while :; do sleep 0.05; done\n"
    )
    script = f'#!/bin/sh\ncd "{tmp_path}"\nsh ./vim "$@"\nexit $?\n'
    editing = Editing(tmp_path, script)
    try:
        editing.open()
        editing.signal(signal.SIGHUP)
        assert editing.leave() == 128 + signal.SIGHUP
        editing.read_the_rest()
        editing.assert_as_it_was()
        assert not editing.editor_lives()
    finally:
        editing.close()


def test_what_an_editor_switched_on_is_set_back_where_nobody_reads(tmp_path):
    """It has filled all that there is between it and a terminal that reads no more."""
    (tmp_path / "vim").write_text(
        'echo $$ >>started\nprintf "(the editor)"\nprintf "\\033[?1000h\\033[?1002h\\033[?1006h"\n'
        "while [ ! -e go ]; do sleep 0.05; done\n"
        'while :; do printf "%01000d" 0; echo . >>written; done\n'
    )
    script = f'#!/bin/sh\ncd "{tmp_path}"\nsh ./vim "$@"\nexit $?\n'
    editing = Editing(tmp_path, script)
    try:
        editing.open()
        editing.wait(lambda _screen: b"1006h" in editing.raw.rpartition(b"(the editor)")[2])
        (tmp_path / "go").touch()
        written, before = tmp_path / "written", -1
        while not written.exists() or written.stat().st_size != before:
            before = written.stat().st_size if written.exists() else -1
            time.sleep(0.3)
        editing.signal(signal.SIGTERM)
        assert editing.leave(reading=False) == 128 + signal.SIGTERM
        editing.read_the_rest()
        editing.assert_as_it_was()
        assert not editing.editor_lives()
    finally:
        editing.close()


def test_it_sleeps_and_wakes_with_the_editor(editing, tmp_path):
    """A shell stops and wakes the whole job; the editor still has the terminal then."""
    for process in (editing.process.pid, editing.started[0]):
        os.kill(process, signal.SIGSTOP)
    time.sleep(0.3)
    before = len(editing.raw)
    for process in (editing.process.pid, editing.started[0]):
        os.kill(process, signal.SIGCONT)
    saved = tokens(tmp_path)
    editing.wait(lambda _screen: tokens(tmp_path) > saved + 10)
    assert editing.raw[before:] == b""
    (tmp_path / "go").touch()
    editing.wait("a draft edited")
