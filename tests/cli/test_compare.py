"""`chatterm compare`: two models, one prompt, the same seed; and what was left out stays left out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chatterm.cli.compare import Answer, _parted
from chatterm.cli.talk import Talk
from chatterm.library import Library


def chatterm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("chatterm")
    return subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, check=False, timeout=240
    )


@pytest.mark.parametrize(
    ("one", "other", "place"), [("abc", "abd", 2), ("ab", "abc", 2), ("", "x", 0), ("苹果", "苹果", None)]
)
def test_where_two_texts_part(one: str, other: str, place: int | None) -> None:
    answers = [Answer(None, text, [], None) for text in (one, other)]  # type: ignore[arg-type]
    assert _parted(answers) == place


@pytest.mark.model
@pytest.mark.usefixtures("default_model_path")
def test_the_same_model_says_the_same_twice() -> None:
    arguments = ("compare", "default", "default", "Name a fruit.", "--max-tokens", "6", "--seed", "3")
    done = chatterm(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    one, other = found["replies"]
    assert found["seed"] == 3 and found["parted"] is None
    assert one["text"] == other["text"] and len(one["tokens"]) <= 6
    assert one["tokens"] == other["tokens"] and one["surprise"] == other["surprise"] > 0


def test_going_on_with_a_conversation_sends_only_what_is_sent(tmp_path: Path) -> None:
    with Library(tmp_path / "library.sqlite3") as library:
        talk = library.create().id
        first = library.add_message(talk, None, "user", "notes.txt:\n\n```\nlong\n```\n\nread them")
        answer = library.add_message(talk, first.id, "assistant", "read")
        second = library.add_message(talk, answer.id, "user", "and this")
        library.add_message(talk, second.id, "assistant", "done")
        said = Talk.resume(library, talk, save=False).said
        assert [message.content for message in said][1:] == ["read", "and this", "done"]
        library.leave_out({first.id: (False, True), second.id: (True, False)})
        said = Talk.resume(library, talk, save=False).said
        assert [(m.role, m.content) for m in said] == [("user", "read them"), ("assistant", "read")]
