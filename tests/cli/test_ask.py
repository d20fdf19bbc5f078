"""What `chatterm ask` asks, and what it saves."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from chatterm.cli.question import question
from chatterm.cli.rendering import MarkdownStream, complete_blocks
from chatterm.errors import UserError
from chatterm.library import Library


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATTERM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CHATTERM_CONFIG", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Standard input is a pipe with these bytes in it."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    monkeypatch.setattr("sys.stdin", os.fdopen(reading, "r"))


# --- the question ---------------------------------------------------------------------------------------


def test_files_and_what_is_piped_in_come_before_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.py").write_text("print(1)\n")
    Path("b").write_text("has ```` in it")
    pipe(monkeypatch, b"piped\n")
    assert question("What?", [Path("a.py"), Path("b")]) == (
        "a.py:\n\n```py\nprint(1)\n```\n\n"
        "b:\n\n`````\nhas ```` in it\n`````\n\n"
        "Standard input:\n\n```\npiped\n```\n\n"
        "What?"
    )


@pytest.mark.parametrize("prompt", [None, "-"])
def test_what_is_piped_in_alone_is_the_prompt(monkeypatch: pytest.MonkeyPatch, prompt: str | None) -> None:
    pipe(monkeypatch, "\ufeff苹果?".encode())
    assert question(prompt, []) == "苹果?"


def test_an_empty_pipe_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"")
    assert question("What?", []) == "What?"
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert question("What?", []) == "What?"
        with pytest.raises(UserError, match="There is no text"):
            question(None, [])


def test_a_pipe_that_stays_open_and_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr("sys.stdin", os.fdopen(reading, "r"))
    assert question("What?", []) == "What?"
    assert "nothing came on standard input" in capsys.readouterr().err
    os.close(writing)


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"\xff", "not UTF-8 text"), (b"a\0b", "zero bytes"), (b"x" * ((16 << 20) + 1), "larger")],
)
def test_what_is_no_text_is_refused(data: bytes, words: str) -> None:
    Path("a").write_bytes(data)
    with pytest.raises(UserError, match=words):
        question("What?", [Path("a")])


def test_a_pipe_that_a_shell_hands_over_is_read_and_one_that_lies_there_is_not() -> None:
    """`-f <(command)` is such a name; into the other nobody may ever write."""
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)
    assert question("What?", [Path(f"/dev/fd/{reading}")]) == f"{reading}:\n\n```\npiped\n```\n\nWhat?"
    os.close(reading)
    with pytest.raises(UserError, match=f"/dev/fd/{reading} cannot be read"):
        question("What?", [Path(f"/dev/fd/{reading}")])
    os.mkfifo("pipe")
    with pytest.raises(UserError, match="Not a regular file"):
        question("What?", [Path("pipe")])


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UserError, match="No such file"):
        question("What?", [Path("none")])


# --- Markdown as it comes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("one", ""),
        ("one\n\n", ""),
        ("one\n\ntwo", ""),
        ("one\n\ntwo\n", "one\n\n"),
        ("one\n\ntwo\n\nthree\n", "one\n\ntwo\n\n"),
        ("```\na\n\nb\n", ""),
        ("```\na\n\nb\n```\n\nc\n", "```\na\n\nb\n```\n\n"),
        ("```a```\n```\n\nb\n", ""),  # code in a line, and behind it a fence that nothing closes
        ("- a\n\n- b\n\ntext\n", "- a\n\n- b\n\n"),
        ("1. a\n\n   more\n", ""),
    ],
)
def test_complete_blocks(text: str, complete: str) -> None:
    assert text[: complete_blocks(text)] == complete


@given(st.lists(st.sampled_from(["word", "\n", "\n\n", "```", "- a", "# h", " "]), max_size=30))
def test_streamed_markdown_loses_nothing_and_cuts_only_between_blocks(pieces: list[str]) -> None:
    class Kept(MarkdownStream):
        def _print(self, text: str) -> None:
            parts.append(text)

    parts: list[str] = []
    stream = Kept(Console(file=io.StringIO()))
    for piece in pieces:
        stream.write(piece)
    stream.close()
    assert "".join(parts) == "".join(pieces)
    parser = MarkdownIt("commonmark")
    apart = [token.type for part in parts for token in parser.parse(part)]
    assert apart == [token.type for token in parser.parse("".join(pieces))]


def test_streamed_markdown_is_rendered() -> None:
    file = io.StringIO()
    stream = MarkdownStream(Console(file=file, width=40))
    for character in "# Head\n\n- a **b**\n\none\ntwo [x](http://y) \x1b[31m":
        stream.write(character)
    stream.close()
    shown = file.getvalue()
    assert (
        "• a b" in shown
        and [line.rstrip() for line in shown.splitlines()[-2:]] == ["one", "two x (http://y) ␛[31m"]
        and "#" not in shown
    )


# --- with the real model --------------------------------------------------------------------------------


def chatterm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("chatterm")
    return subprocess.run(
        [str(program), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def document(*arguments: str) -> Any:
    result = chatterm(*arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.model
@pytest.mark.usefixtures("default_model_path")
def test_a_saved_question_and_one_that_goes_on() -> None:
    chatterm("presets", "save", "calm", "-t", "0", "-s", "You are calm.")
    first = document("ask", "--json", "--save", "-p", "calm", "--max-tokens", "4", "Hello")
    second = document("ask", "--json", "--max-tokens", "3", "-c", "And then?")
    assert first["conversation"] == second["conversation"]
    assert second["timing"]["prompt_tokens"] > first["timing"]["prompt_tokens"]
    with Library() as library:
        whole = library.whole(first["conversation"])
        assert [message.role for message in whole.path] == ["user", "assistant", "user", "assistant"]
        assert [message.content for message in whole.path] == [
            "Hello",
            first["text"],
            "And then?",
            second["text"],
        ]
        assert whole.path[1].status == "length"
        assert [token.id for token in whole.tokens[whole.path[1].id]] == [t["id"] for t in first["tokens"]]
        assert whole.conversation.system_prompt == "You are calm."
        assert whole.conversation.sampling is not None and whole.conversation.sampling.temperature == 0

    third = document(
        "ask", "--json", "--no-save", "--max-tokens", "3", "-c", str(first["conversation"]), "More?"
    )
    assert third["timing"]["prompt_tokens"] > second["timing"]["prompt_tokens"]
    with Library() as library:
        assert len(library.whole(first["conversation"]).messages) == 4


@pytest.mark.model
@pytest.mark.usefixtures("default_model_path")
def test_nothing_is_saved_unasked() -> None:
    assert chatterm("ask", "--max-tokens", "2", "--format", "markdown", "Hello").returncode == 0
    with Library() as library:
        assert library.conversations() == ()


def test_there_is_nothing_to_go_on_with() -> None:
    result = chatterm("ask", "-c", "hello")
    assert result.returncode == 2
    assert result.stderr == "chatterm: No conversation has been saved yet.\n"


def may_be_interrupted() -> None:
    """Whatever whoever runs the tests does: a shell lets its background jobs ignore Ctrl+C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.model
@pytest.mark.usefixtures("default_model_path")
def test_a_reply_that_is_stopped_is_kept() -> None:
    program = Path(sys.executable).with_name("chatterm")
    endless = ("--set", 'logit_bias={"2": -1000}')
    asking = subprocess.Popen(
        [str(program), "ask", "--save", *endless, "Count."],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        preexec_fn=may_be_interrupted,
    )
    assert asking.stdout is not None
    begun = asking.stdout.read(8).decode()
    asking.send_signal(signal.SIGINT)
    rest, told = asking.communicate(timeout=120)
    assert asking.returncode == 130, told
    with Library() as library:
        (talk,) = library.conversations()
        _, reply = library.open(talk.id).path
    assert reply.status == "stopped"
    assert reply.content == begun + rest.decode().removesuffix("\n")
    assert reply.tokens > 0
