"""What commands print of texts that others chose, and how they complain about them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from chatterm.allowance import Allowance
from chatterm.cli import common, main, rendering, supply
from chatterm.cli.rendering import print_markdown
from chatterm.errors import UserError
from chatterm.presets import load_presets


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "CONFIG", "MODELS"):
        monkeypatch.setenv(f"CHATTERM_{name}", str(tmp_path / name.lower()))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["\x9b31m\u202e"],
        ["history", "list", "--\x9b31m\u202e"],
        ["history", "show", "\x9b31m\u202e"],
        ["import", "\x9b31m\u202e"],
    ],
    ids=["command", "option", "conversation", "file"],
)
def test_a_complaint_quotes_an_argument_inert(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert not set(result.output) & set("\x9b\u202e")


def test_json_on_the_terminal_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": "\x9b31m \u202e 👩\u200d👧 苹果"}
    common.print_json(value)
    written = capsys.readouterr().out
    assert not set(written) & set("\x9b\u202e") and "苹果" in written
    assert json.loads(written) == value


def test_names_of_metadata_are_inert(capsys: pytest.CaptureFixture[str]) -> None:
    supply.print_facts({"general.\x1b]0;x\x07": "v\u202e"})
    assert capsys.readouterr().out == "general.␛]0;x␇  v�\n"


def test_an_entity_in_markdown_does_not_become_what_it_stands_for() -> None:
    console = Console(file=io.StringIO(), width=80)
    print_markdown(console, "a &#8238;b&#x200b;c **&#13;d** `&#8238;`\n\n```x&#8238;\ny\n```")
    written = console.file.getvalue()
    assert not set(written) & set("\u202e\u200b\r")
    assert "a �b�c" in written


@pytest.mark.timeout(120)  # a lexer that is not broken off takes minutes
def test_what_takes_too_long_is_printed_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "ALLOWANCE", Allowance(0.3, 0.0))
    console = Console(file=io.StringIO(), width=80)
    print_markdown(console, "```lilypond\n" + "a" * 8000 + "\n```\n*a* \x1b")
    assert console.file.getvalue().endswith("```\n*a* ␛\n")


def test_a_preset_file_of_an_impossible_name_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "presets"
    folder.mkdir(parents=True)
    (folder / "\x1b]0;x\x07.toml").write_text("")
    loaded = load_presets()
    assert all(preset.is_builtin for preset in loaded.presets)
    assert len(loaded.problems) == 1 and "\x1b" not in loaded.problems[0]


def test_a_sentence_is_inert() -> None:
    assert UserError("No \x1b[2J\u202e.").sentence == "No ␛[2J�."
