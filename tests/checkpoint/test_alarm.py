"""What takes its time within one operation: nothing in the process could stop it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress

import pytest

from chatterm.checkpoint import alarm
from chatterm.checkpoint.template import ChatTemplate
from chatterm.checkpoint.template.budget import rendering
from chatterm.checkpoint.template.messages import Turn
from chatterm.engine.ending import obituary
from chatterm.errors import UserError

PATIENT = """
import tokenizers
from tokenizers import Regex, models, pre_tokenizers
from chatterm.checkpoint import alarm

alarm.SECONDS = 1
{arm}
backend = tokenizers.Tokenizer(models.BPE(vocab={{"a": 0}}, merges=[]))
backend.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+$"), behavior="isolated")
with alarm.{what}():
    with alarm.{what}(100):
        pass
    backend.encode(("a" * {each} + "b ") * {words})
print("done")
"""

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no such timer")


def run(arm: str, each: int, words: int, what: str = "tokenizing") -> subprocess.CompletedProcess[str]:
    program = PATIENT.format(arm=arm, each=each, words=words, what=what)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_the_system_ends_what_nothing_else_can() -> None:
    ended = run("alarm.arm()", 22, 100_000)
    assert ended.returncode == -signal.SIGPROF
    assert "tokenizer takes far too long" in obituary(ended.returncode, "")


def test_a_template_that_escapes_all_bounds_ends_in_a_sentence_of_its_own() -> None:
    program = (
        "from chatterm.checkpoint import alarm\n"
        "from chatterm.checkpoint.template.budget import rendering\n"
        "alarm.SECONDS = 1\n"
        "alarm.arm()\n"
        "with rendering():\n"
        "    while True: pass"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -signal.SIGVTALRM
    assert "chat template takes far too long" in obituary(ended.returncode, "")


def test_what_takes_little_goes_on_and_unarmed_processes_are_left_alone() -> None:
    assert run("alarm.arm()", 3, 10).stdout == "done\n"
    assert run("", 3, 10).stdout == "done\n"


@pytest.fixture
def armed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(alarm, "_armed", True)
    monkeypatch.setattr(alarm, "SECONDS", 1000.0)  # this process must not be ended
    yield
    assert not any(signal.getitimer(timer)[0] for timer in (signal.ITIMER_PROF, signal.ITIMER_VIRTUAL))


@pytest.mark.usefixtures("armed")
@pytest.mark.parametrize(
    ("what", "timer"), [(alarm.tokenizing, signal.ITIMER_PROF), (alarm.rendering, signal.ITIMER_VIRTUAL)]
)
def test_it_is_disarmed_however_it_is_left(
    what: Callable[[], AbstractContextManager[None]], timer: int
) -> None:
    with pytest.raises(KeyError), what():
        assert 0 < signal.getitimer(timer)[0] <= 1000.1  # the system rounds up
        raise KeyError
    assert signal.getitimer(timer)[0] == 0


@pytest.mark.usefixtures("armed")
@pytest.mark.parametrize(
    "text", ["hello", "{{ raise_exception('no') }}", "{{ 'a' * 10**9 }}", "{{ 1 // 0 }}"]
)
def test_each_rendering_has_it_and_lays_it_down(text: str) -> None:
    template = ChatTemplate(text, "a test")
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0
    with rendering():
        before = signal.getitimer(signal.ITIMER_VIRTUAL)[0]
        assert before > 0
        with suppress(UserError):
            template.render([Turn("user", "hello")])
        assert 0 < signal.getitimer(signal.ITIMER_VIRTUAL)[0] <= before


@pytest.mark.usefixtures("armed")
def test_one_inside_another_gives_no_more_time() -> None:
    with alarm.tokenizing():
        before = signal.getitimer(signal.ITIMER_PROF)[0]
        for _ in range(500):
            with alarm.tokenizing(5000):
                assert signal.getitimer(signal.ITIMER_PROF)[0] <= before + 0.1  # the system rounds up
        assert signal.getitimer(signal.ITIMER_PROF)[0] <= before + 0.1
