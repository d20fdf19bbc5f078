"""A regular expression that takes its time at every word: nothing in the process could stop it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from chatterm.engine.ending import obituary

PATIENT = """
import tokenizers
from tokenizers import Regex, models, pre_tokenizers
from chatterm.checkpoint.tokenizer import alarm

alarm.SECONDS = 1
{arm}
backend = tokenizers.Tokenizer(models.BPE(vocab={{"a": 0}}, merges=[]))
backend.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+$"), behavior="isolated")
with alarm.alarm(0):
    with alarm.alarm(0):
        pass
    backend.encode(("a" * {each} + "b ") * {words})
print("done")
"""


def run(arm: str, each: int, words: int) -> subprocess.CompletedProcess[str]:
    program = PATIENT.format(arm=arm, each=each, words=words)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="the system has no alarm")
def test_the_system_ends_what_nothing_else_can() -> None:
    ended = run("alarm.arm()", 22, 100_000)
    assert ended.returncode == -signal.SIGALRM
    assert "tokenizer takes far too long" in obituary(ended.returncode, "")


def test_what_takes_little_goes_on_and_unarmed_processes_are_left_alone() -> None:
    assert run("alarm.arm()", 3, 10).stdout == "done\n"
    assert run("", 3, 10).stdout == "done\n"
