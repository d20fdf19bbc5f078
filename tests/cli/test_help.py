"""The command line's own words."""

from __future__ import annotations

import importlib

import pytest
from click.testing import CliRunner

from chatterm.cli import COMMANDS, SUMMARIES, main


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_is_the_first_line_of_the_help(name: str) -> None:
    command = importlib.import_module(COMMANDS[name]).command
    assert command.name == name
    assert (command.help or "").strip().splitlines()[0] == SUMMARIES[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert SUMMARIES[name] in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "_CHATTERM_COMPLETE" in result.output


def test_a_chat_without_a_terminal_points_to_ask() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 2
    assert "chatterm ask" in result.stderr


def test_an_unknown_command_exits_with_2() -> None:
    assert CliRunner().invoke(main, ["aks"]).exit_code == 2
