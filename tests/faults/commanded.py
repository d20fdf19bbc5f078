"""Commands on hostile models, conversations, files and arguments, with a terminal and with a pipe."""

from __future__ import annotations

import json
import random
import traceback
from pathlib import Path
from unittest.mock import patch

import click.testing
from click.testing import CliRunner, Result

from chatterm.cli import main
from chatterm.engine.client import EngineProcess
from chatterm.library import Library
from tests.faults.corpus import file_name
from tests.faults.hostile import HostileKnobs, Villain, conversation, home, litter, vocabulary
from tests.faults.oracle import complaint, terminal_complaint

COLUMNS = 100
ENGINE = {
    "ask": ["ask"],
    "ask --json": ["ask", "--json"],
    "ask --format markdown": ["ask", "--format", "markdown"],
    "ask --save": ["ask", "--save"],
    "next": ["next"],
    "next --json": ["next", "--json"],
    "tokens": ["tokens"],
    "tokens --json": ["tokens", "--json"],
    "lens": ["lens"],
    "lens --positions": ["lens", "--positions", "3"],
    "lens --json": ["lens", "--json"],
    "attention": ["attention"],
    "attention of a head": ["attention", "--layer", "2", "--head", "1"],
    "contributions": ["contributions"],
    "neurons": ["neurons"],
    "neighbours": ["neighbours"],
    "score": ["score"],
    "score --json": ["score", "--json"],
    "ranks": ["ranks"],
    "edit-compare": ["edit-compare", "--off", "head:1.1"],
}
"""Commands that end with a text."""
MODELS = {
    "models list": ["models", "list"],
    "models list --json": ["models", "list", "--json"],
    "models show": ["models", "show", "x"],
    "models show --json": ["models", "show", "--json", "x"],
    "models check": ["models", "check", "x"],
    "models get": ["models", "get", "x"],
    "doctor": ["doctor"],
    "doctor --json": ["doctor", "--json"],
    "selfcheck": ["selfcheck"],
}
SAVED = {
    "history list": ["history", "list"],
    "history list --json": ["history", "list", "--json"],
    "history show": ["history", "show"],
    "history show --branches": ["history", "show", "1", "--branches"],
    "history show --json": ["history", "show", "1", "--json"],
    "history delete": ["history", "delete", "1"],
    "export as markdown": ["export"],
    "export as json": ["export", "--all"],
    "export as text": ["export", "-f", "text"],
    "export as html": ["export", "-f", "html"],
    "export as svg": ["export", "-f", "svg"],
}
WORDS = {
    "history search": ["history", "search"],
    "history search --json": ["history", "search", "--json"],
    "a mistaken command": [],
    "a mistaken option": ["history", "list"],
    "a mistaken conversation": ["history", "show", "--"],
    "presets show": ["presets", "show", "--"],
    "presets save": ["presets", "save", "-s", "x", "--"],
    "presets list": ["presets", "list"],
    "import of a file": ["import", "--dry-run", "--"],
    "import of nothing": ["import", "--"],
    "a file to ask about": ["ask", "-f"],
    "an export into a folder": ["export", "-o"],
    "a setting": ["next", "--set"],
    "analogy": ["analogy"],
    "map": ["map"],
}
KINDS = {
    "with a model": ENGINE,
    "about models": MODELS,
    "on saved conversations": SAVED,
    "with hostile arguments and file names": WORDS,
}
RAW = {"ask", "ask --save", "ask --format markdown", "a file to ask about", "models get"}
"""Into a pipe or a file goes exactly what the model wrote, or a path as it is."""
EXPORTS = {"export as markdown", "export as html", "export as svg"}
"""Markup, which `exported` reads as its readers do; a sign and its joiner may be in elements of their own."""
CONTROLS = {chr(code) for code in (*range(9), *range(11, 32), *range(0x7F, 0xA0))}


def case(numbers: random.Random, folder: Path) -> str:
    """Run one command and read what came."""
    villain = Villain(numbers)
    name, arguments = _command(numbers, villain, folder)
    terminal = numbers.random() < 0.5
    knobs = HostileKnobs(villain)
    with home(folder, TERM="xterm-256color", COLUMNS=str(COLUMNS)), vocabulary(villain):
        knobs.replies = HostileKnobs(villain).replies
        if numbers.random() < 0.8 or arguments[:1] in (["history"], ["export"]):
            with Library() as library:
                library.add_conversations([conversation(villain, "sea") for _ in range(2)])
        with (
            patch.object(EngineProcess, "start", knobs.start),
            patch.object(click.testing._NamedTextIOWrapper, "isatty", lambda self: terminal),
        ):
            result = CliRunner().invoke(main, arguments, input="")
    _check(result, name, arguments, terminal)
    kind = next(kind for kind, commands in KINDS.items() if name in commands)
    return f"command {kind}, to a {'terminal' if terminal else 'pipe'}"


def _command(numbers: random.Random, villain: Villain, folder: Path) -> tuple[str, list[str]]:
    group = numbers.choice((ENGINE, MODELS, SAVED, WORDS, WORDS))
    name = numbers.choice(list(group))
    arguments = list(group[name])
    if group is ENGINE:
        arguments += ["--", _argument(villain)]
    elif group is WORDS:
        arguments += _words(name, numbers, villain, folder)
    return name, arguments


def _argument(villain: Villain) -> str:
    return villain.text(400).replace("\0", "") or "x"


def _words(name: str, numbers: random.Random, villain: Villain, folder: Path) -> list[str]:
    match name:
        case "import of a file" | "a file to ask about":
            files = [path for path in litter(villain, folder) if path.is_file()]
            if not files:
                return ["nothing"]
            chosen = numbers.choice(files)
            if "import" in name and numbers.random() < 0.6:
                said = [
                    {"role": "user", "content": villain.text()},
                    {"role": villain.text(50), "content": "x"},
                ]
                chosen.write_text(json.dumps({"title": villain.text(200), "messages": said}), "utf-8")
            return [chosen.name] if "import" in name else [f"./{chosen.name}", "x"]
        case "presets list":
            presets = folder / "config" / "presets"
            presets.mkdir(parents=True)
            for _ in range(4):
                described = json.dumps(villain.text(200))
                (presets / f"{file_name(numbers)}.toml").write_text(f"description = {described}\n", "utf-8")
            return []
        case "presets show" | "presets save" | "a mistaken conversation":
            return [_argument(villain)]
        case "a setting":
            return [f"{_argument(villain)}={_argument(villain)}", "x"]
        case "analogy":
            return ["--", _argument(villain), _argument(villain), _argument(villain)]
        case "map":
            return ["--", *(_argument(villain) for _ in range(4))]
        case "a mistaken option":
            return [f"--{_argument(villain)}"]
        case "import of nothing" | "an export into a folder":
            return [file_name(numbers)]
        case _:
            return [_argument(villain)]


def _check(result: Result, name: str, arguments: list[str], terminal: bool) -> None:
    where = f"{name} {arguments!r} {'terminal' if terminal else 'pipe'}"
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        lines = traceback.format_exception(*result.exc_info)
        raise AssertionError(f"{where}: {''.join(lines[-4:])}")
    for stream, written in (("stdout", result.stdout_bytes), ("stderr", result.stderr_bytes)):
        text = written.decode("utf-8")
        if not terminal and stream == "stdout" and name in RAW:
            continue
        if stream == "stdout" and name in EXPORTS:
            assert not set(text) & CONTROLS, f"{where}: a control"
            continue
        found = terminal_complaint(text, COLUMNS, 1) if terminal else complaint(text, allowed="\n\t")
        assert not found, f"{where}: {stream}: {found}"
        assert "Traceback" not in text, where
