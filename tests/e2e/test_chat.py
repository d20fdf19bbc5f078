"""A person at a terminal: the installed program, the real default model, real keys."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.usefixtures("default_model_path")]


GREEDY = "[sampling]\ntemperature = 0.0\nseed = 7\n"
NOTHING_REMOVED = "top_k = 0\ntop_p = 1.0\nmin_p = 0.0\n"
NEVER_ENDING = '[sampling.logit_bias]\n"0" = -inf\n"2" = -inf\n'


@pytest.fixture(autouse=True)
def _always_the_most_probable_token(tmp_path: Path) -> None:
    set_up(tmp_path, GREEDY)


def set_up(folder: Path, config: str) -> None:
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "config.toml").write_text(config)


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal([], tmp_path)
    yield terminal
    terminal.process.close(force=True)


def engines_of(pid: int) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(pid).children(recursive=True)
        if "worker" in " ".join(child.cmdline())
    ]


PERCENT = r"(\d+(?:\.\d+)?|<\.001)%"
PANEL_ROW = re.compile(rf"{PERCENT}\s+[█-▏]*\s*(?:{PERCENT}|removed|·)")
"""A candidate: the model's percentage, and the sampled one unless it was removed."""


def model_column(screen: str) -> list[str]:
    """The model's percentages as they are written, from the top."""
    return [row[0] for row in PANEL_ROW.findall(screen)]


def sampled_column(screen: str) -> list[float]:
    """The sampled percentages of those that were kept, from the top."""
    return [float(row[1].removeprefix("<")) for row in PANEL_ROW.findall(screen) if row[1]]


def ask(chat: Terminal, question: str) -> None:
    chat.wait("is ready")
    chat.type(question)
    chat.wait(question)
    chat.press("enter")


def test_a_question_is_answered_while_the_temperature_turns(tmp_path: Path) -> None:
    set_up(tmp_path, GREEDY + NOTHING_REMOVED + NEVER_ENDING)
    chat = Terminal([], tmp_path)
    ask(chat, "Tell me a long story about a lighthouse keeper.")
    chat.wait("esc stop")
    chat.wait(lambda screen: bool(sampled_column(screen)))
    chat.press(*["alt+up"] * 4)
    chat.wait(lambda screen: "sampled T 0.20" in screen and "following" in screen)
    chat.press("escape")
    chat.wait("stopped")

    chat.press("f2", "home")  # the first token is the same wherever the reply was stopped
    before = chat.wait(lambda screen: "token 1 of" in screen and len(sampled_column(screen)) > 2)
    chat.press(*["alt+up"] * 10)
    chat.wait(
        lambda screen: (
            "sampled T 0.70" in screen
            and sampled_column(screen)[0] < sampled_column(before)[0]
            and model_column(screen) == model_column(before)  # the model's own numbers do not move
        )
    )

    engine = engines_of(chat.process.pid)
    assert engine
    chat.press("ctrl+q")
    assert chat.end() == 0
    assert b"\x1b[?1049l" in chat.raw, "the terminal is as it was"
    assert not [process for process in engine if process.is_running()]
    (file,) = (tmp_path / "data").glob("*.sqlite3")
    rows = sqlite3.connect(file).execute("select role, content from message order by id").fetchall()
    assert rows[0] == ("user", "Tell me a long story about a lighthouse keeper.")
    assert rows[1][0] == "assistant" and len(rows[1][1]) > 20


def test_the_last_conversation_is_resumed(tmp_path: Path) -> None:
    first = Terminal([], tmp_path)
    ask(first, "What is the capital of France?")
    first.wait("Paris")
    first.press("ctrl+q")
    assert first.end() == 0
    again = Terminal(["--continue"], tmp_path)
    again.wait(lambda screen: "What is the capital of France?" in screen and "France is Paris." in screen)
    again.press("ctrl+q")
    assert again.end() == 0


def test_it_survives_any_size(chat: Terminal) -> None:
    ask(chat, "Count from one to fifty in words.")
    chat.wait("esc stop")
    for size in ((80, 24), (20, 8), (1, 1), (200, 60), (120, 40)):
        chat.resize(*size)
        chat.read(0.4)
        assert chat.process.isalive()
    chat.press("escape")
    chat.wait(lambda screen: "Ask something" in screen.splitlines()[-4])  # at the foot of the last size
    chat.press("ctrl+q")
    assert chat.end() == 0


def test_help_and_models_open_and_close(chat: Terminal) -> None:
    chat.wait("is ready")
    chat.press("f1")
    chat.wait("temperature")
    chat.press("escape")
    chat.press("f3")
    chat.wait(lambda screen: "SmolLM2-360M" in screen or "SmolLM2 360M" in screen)
    chat.press("escape")
    chat.wait("Ask something")
    chat.press("ctrl+q")
    assert chat.end() == 0


def test_a_look_inside_the_reply(chat: Terminal) -> None:
    ask(chat, "What is the capital of France?")
    chat.wait("France is Paris.")
    chat.press("f2", "left", "alt+2")  # the lens at the last word before the end
    chat.wait(lambda screen: "block" in screen and "29" in screen)
    chat.press("alt+4")
    chat.wait(lambda screen: "embedding" in screen and "sum" in screen)
    chat.press("escape", "ctrl+q")
    assert chat.end() == 0
