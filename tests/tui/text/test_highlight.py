"""Code is coloured where that takes no time to speak of, and plain where it does."""

from __future__ import annotations

import gc
import threading

import pytest

from chatterm import allowance
from chatterm.allowance import Allowance
from chatterm.tui.text import highlight as module
from chatterm.tui.text.highlight import LONGEST, highlight
from chatterm.tui.text.lines import FENCE, KEYWORD, Span
from chatterm.tui.text.markdown import Markdown

pytestmark = [
    pytest.mark.timeout(120),  # a lexer that is not broken off runs for ever
    # the signal may come while Hypothesis watches the garbage collector, where no error can leave
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PYTHON = "def f(x):\n    return 'a'\n"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Allowances of which nothing is used yet, and to which waiting adds nothing."""
    monkeypatch.setattr(allowance, "IDLE_SHARE", 0.0)
    monkeypatch.setattr(module, "ALLOWANCE", Allowance(0.25, 10e-6))
    monkeypatch.setattr(module, "LOADING", Allowance(60.0, 0.0))
    gc.disable()  # Hypothesis watches the collector, and pytest what goes wrong there: no error can leave
    yield
    gc.enable()


def is_coloured(code: str, language: str) -> bool:
    spans = highlight(code, language)
    assert "".join(span.text for span in spans) == code
    return any(span.style != FENCE for span in spans)


@pytest.mark.parametrize("language", ["python", "Python", "py", "js", "c++", "rust", "html"])
def test_known_languages_are_coloured(language):
    assert is_coloured("class if return <a> 'b' 12 int\n", language)


@pytest.mark.parametrize("language", ["", "nothing", "\x1b[", "python "])
def test_others_are_plain(language):
    assert highlight(PYTHON, language) == [Span(PYTHON, 0, FENCE)]


@pytest.mark.parametrize(
    ("language", "code"),
    [
        pytest.param("tnt", "a", id="never ends"),
        pytest.param("systemd", " " * 6000, id="minutes of spaces"),
        pytest.param("lilypond", "a" * 6000, id="minutes of one letter"),
    ],
)
def test_code_that_takes_a_lexer_long_is_plain(language, code):
    assert highlight(code, language) == [Span(code, 0, FENCE)]


def test_much_code_that_takes_long_is_soon_not_tried_any_more():
    Markdown("```tnt\na\n```\n" * 2000, 80)


def test_code_is_coloured_again_when_enough_of_it_has_been_plain():
    assert not is_coloured("a", "tnt")
    assert not is_coloured(PYTHON, "python")
    assert any(is_coloured(PYTHON * 100, "python") for _ in range(100))


def test_a_long_block_is_plain():
    assert is_coloured("#" * (LONGEST - 1) + "\n", "python")
    assert not is_coloured("#" * LONGEST + "\n", "python")


def test_languages_are_loaded_within_bounds(monkeypatch):
    monkeypatch.setattr(module, "LOADING", Allowance(0.0, 0.0))
    assert not is_coloured(PYTHON, "python")


def test_in_another_thread_code_is_plain():
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(is_coloured(PYTHON, "python")))
    thread.start()
    thread.join()
    assert answers == [False]


def test_a_block_of_code_grows_coloured():
    grown = Markdown("```python\n", 80)
    for character in PYTHON:
        grown.append(character)
    assert any(span.style & KEYWORD for line in grown.lines() for span in line.spans)
