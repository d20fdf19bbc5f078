"""Every slash command, once; `python -m chatterm.tui.commands` prints the table of `docs/commands.md`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from chatterm.errors import UserError
from chatterm.language import _, mark
from chatterm.tui.commands import acts
from chatterm.tui.commands.acts import Act
from chatterm.tui.widgets.knobs import BY_FIELD

_NAME = re.compile(r"/([A-Za-z][A-Za-z0-9_-]*)(?=\s|$)")


class Command(NamedTuple):
    """One command. `arguments` is how they are written, in brackets what may be left out."""

    name: str
    arguments: str
    says: str
    act: Act

    @property
    def needs_more(self) -> bool:
        """Whether it does nothing without an argument."""
        return bool(self.arguments) and not self.arguments.startswith("[")

    @property
    def usage(self) -> str:
        """How it is written."""
        return f"/{self.name} {self.arguments}".rstrip()


def _knobs() -> Iterable[Command]:
    for field, knob in BY_FIELD.items():
        yield Command(field.replace("_", "-"), mark("[NUMBER]"), knob.says, acts.knob(field))


COMMANDS: tuple[Command, ...] = (
    Command("help", "", mark("The keys and the commands"), acts.help_),
    Command("new", "", mark("Begin a new conversation"), acts.new),
    Command(
        "resume", mark("[NUMBER]"), mark("Earlier conversations, or the one of this number"), acts.resume
    ),
    Command("retry", "", mark("Another reply to the last message, beside the first"), acts.retry),
    Command("continue", "", mark("Let the last reply go on where it ended"), acts.continue_),
    Command("edit", "", mark("Choose a message to edit; the old one stays beside it"), acts.edit),
    Command("stop", "", mark("Stop the reply and keep what was written"), acts.stop),
    Command("system", mark("[TEXT]"), mark("The system prompt of this conversation"), acts.system),
    Command("preset", mark("[NAME]"), mark("Take a preset; “save NAME” keeps what is in force"), acts.preset),
    Command("model", mark("[NAME]"), mark("Load a model: a name, path or hub id"), acts.model),
    Command(
        "compare",
        mark("[NAME]"),
        mark("Let the loaded model and another one answer the last message, side by side"),
        acts.compare,
    ),
    Command(
        "seed", mark("[NUMBER]"), mark("The seed of replies; without a number a new one each"), acts.seed
    ),
    Command("attach", mark("FILE"), mark("Send a text file along, as @FILE does"), acts.attach),
    Command("clear", mark("[attachments]"), mark("Take all attachments away"), acts.clear),
    Command("editor", "", mark("Write the message in your own editor"), acts.editor),
    Command("tokens", mark("[TEXT]"), mark("How a text is cut; without one, all that is read"), acts.tokens),
    Command("context", "", mark("What fills the context window, and what to leave out"), acts.context),
    Command("raw", "", mark("What exactly the model sees, to be read and edited"), acts.raw),
    Command("copy", mark("[code]"), mark("Copy the last reply, or its last block of code"), acts.copy),
    Command(
        "export",
        mark("[FORMAT] [FILE]"),
        mark("Write the conversation to a file: markdown, json, text, html, svg"),
        acts.export,
    ),
    Command("import", mark("FILE"), mark("Add the conversations of a file"), acts.import_),
    *_knobs(),
    Command("quit", "", mark("Leave; everything is saved"), acts.quit_),
)
BY_NAME = {command.name: command for command in COMMANDS}


class Call(NamedTuple):
    """A command with what follows it."""

    command: Command
    rest: str


def parse(text: str) -> Call | str:
    """What a message is: a command, or the text that is to be sent. `//` begins a text with a slash.

    Raises:
        UserError: it begins with a slash and is neither; the sentence says what to do.
    """
    if not text.startswith("/"):
        return text
    if text.startswith("//"):
        return text[1:]
    match = _NAME.match(text)
    if match is None:
        word = text.split(maxsplit=1)[0]
        raise UserError(
            _(
                "{word} is no command: write /{word} to send it as it is, or @{word} to attach the file."
            ).format(word=word[:60])
        )
    name = match[1].lower().replace("_", "-")
    if name not in BY_NAME:
        near = [command.name for command in matching(name)] or [c for c in BY_NAME if c[:2] == name[:2]]
        hint = (
            _("did you mean /{near}?").format(near=near[0])
            if near
            else _("/help lists them; // sends a text that begins with a slash.")
        )
        raise UserError(_("There is no command /{name}: {hint}").format(name=name[:40], hint=hint))
    return Call(BY_NAME[name], text[match.end() :].strip())


def matching(begun: str) -> list[Command]:
    """The commands whose names begin so, then those that hold it."""
    begun = begun.lower().replace("_", "-")
    first = [command for command in COMMANDS if command.name.startswith(begun)]
    return first + [c for c in COMMANDS if begun in c.name and c not in first]


def document() -> str:
    """The commands as Markdown, for the documentation."""
    rows = [f"| `{command.usage}` | {command.says} |" for command in COMMANDS]
    return "\n".join(["| command | what it does |", "|---|---|", *rows, ""])
