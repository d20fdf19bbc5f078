"""The first moments: a frame before the application is imported, and keys typed before there is one."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from abused import AbusedTerminal

from chatterm.tui.terminal.opening import ENTER

pytestmark = pytest.mark.e2e

SCRIPTED = [sys.executable, str(Path(__file__).with_name("scripted_program.py"))]
WAITING = [sys.executable, str(Path(__file__).with_name("waiting_program.py"))]
SAYS_IMPORTED = b"\x1b]0;imported: "


@contextmanager
def started(folder: Path, program: list[str], typed: str = "", columns: int = 90) -> Iterator[AbusedTerminal]:
    """A program that keeps its frames under `folder`; `typed` at once."""
    variables = {"CHATTERM_CACHE": str(folder / "cache")}
    terminal = AbusedTerminal(folder, columns, program=program, variables=variables)
    try:
        terminal.type(typed)
        yield terminal
    finally:
        terminal.close()


def frames(folder: Path) -> Path:
    return folder / "cache" / "first-frames.json"


def start_and_leave(folder: Path) -> bytes:
    """Leave as soon as the frame has been kept, and say what was."""
    with started(folder, SCRIPTED) as terminal:
        terminal.wait(lambda _: frames(folder).exists())
        terminal.press("ctrl+q")
        assert terminal.end(60) == 0
    return frames(folder).read_bytes()


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> bytes:
    """The file of frames after one start."""
    return start_and_leave(tmp_path_factory.mktemp("before"))


@pytest.fixture(params=[True, False], ids=["frame", "no frame"])
def folder(request, tmp_path, kept) -> Path:
    """With the frame of a start before, and without."""
    if request.param:
        frames(tmp_path).parent.mkdir()
        frames(tmp_path).write_bytes(kept)
    return tmp_path


def drawing(kept: bytes) -> bytes:
    return json.loads(kept)[0]["drawing"].encode()


def test_the_frame_comes_before_what_draws_it_is_imported(folder, kept):
    with started(folder, WAITING) as terminal:
        terminal.wait(lambda _: SAYS_IMPORTED in terminal.raw)
        before, _, imported = terminal.raw.partition(SAYS_IMPORTED)
        assert imported.startswith(b".")
        assert before.endswith(ENTER.encode() + drawing(kept)) == frames(folder).exists()
        assert ("Ask something" in terminal.text) == frames(folder).exists()


def test_it_is_what_the_chat_draws_itself(tmp_path, kept):
    assert start_and_leave(tmp_path) == kept


def test_another_size_is_not_shown_that_frame(tmp_path, kept):
    frames(tmp_path).parent.mkdir()
    frames(tmp_path).write_bytes(kept)
    with started(tmp_path, WAITING, columns=91) as terminal:
        terminal.wait(lambda _: SAYS_IMPORTED in terminal.raw)
        assert ENTER.encode() not in terminal.raw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, None], ids=str)
def test_leaving_before_there_is_an_application(folder, number):
    with started(folder, WAITING) as terminal:
        terminal.wait(lambda _: SAYS_IMPORTED in terminal.raw)
        if number is None:
            terminal.type("\x03")  # ctrl+c
        else:
            terminal.signal(number)
        assert terminal.leave() == 128 + (number or signal.SIGINT)
        terminal.read_the_rest()
        terminal.assert_as_it_was()


def test_what_is_typed_before_the_first_frame_reaches_the_message(folder):
    with started(folder, SCRIPTED, "so early 苹果") as terminal:
        terminal.wait("is ready")
        screen = terminal.wait("so early 苹果")
        assert screen.count("so early") == 1
        terminal.type("\x11")  # ctrl+q
        assert terminal.leave() == 0
        terminal.read_the_rest()
        terminal.assert_as_it_was()


def test_a_message_that_is_typed_and_sent_before_the_first_frame_is_answered(folder):
    with started(folder, SCRIPTED, "so early\r") as terminal:
        terminal.wait("deep blue moon")
        terminal.type("\x11")  # ctrl+q
        assert terminal.leave() == 0
