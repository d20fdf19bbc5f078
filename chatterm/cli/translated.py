"""Commands whose help is in the language spoken: the texts in the code are English, and keys of the catalog.

A help text is translated paragraph by paragraph. A paragraph after `\\b` keeps its lines and is translated as
a whole, or, if it begins with "Example", its first line only: what follows are commands.
"""

from __future__ import annotations

import inspect
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import click
from click import core, exceptions, formatting, parser, termui, types

from chatterm.language import _, mark, several

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

for _module in (core, exceptions, formatting, parser, termui, types):
    # Its own words click asks gettext for, which goes by the locale and knows nothing of the settings.
    vars(_module).update(
        {name: ours for name, ours in (("_", _), ("ngettext", several)) if hasattr(_module, name)}
    )

METAVARS = (mark("[OPTIONS]"), mark("COMMAND [ARGS]..."), mark("[COMMAND] [ARGS]..."))
"""click's words in the line of the usage; other names there are those that the texts speak of."""

_OPENING, _CLOSING = "“‘（《【", "”’）》】，。；：、！？…"


class Paragraph(NamedTuple):
    """A paragraph of a help text: its key, whether it keeps its lines, and lines of it that stay English."""

    text: str
    is_raw: bool = False
    commands: str = ""

    def translated(self) -> str:
        """The paragraph in the language spoken, as click takes it."""
        return ("\b\n" if self.is_raw else "") + _(self.text) + self.commands


def paragraphs(text: str) -> list[Paragraph]:
    """The paragraphs of a docstring or another help text."""
    found = []
    for paragraph in re.split(r"\n\n+", inspect.cleandoc(text).partition("\f")[0]):
        if not paragraph.startswith("\b\n"):
            found.append(Paragraph(paragraph.replace("\n", " ")))
            continue
        raw = paragraph.removeprefix("\b\n")
        first = raw.partition("\n")[0]
        key = first if first.startswith("Example") else raw
        found.append(Paragraph(key, is_raw=True, commands=raw.removeprefix(key)))
    return found


class Formatter(click.HelpFormatter):
    """Breaks lines where Chinese may be broken, and counts its characters as the two columns they take."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The line of the usage."""
        super().write_usage(prog, args, _("Usage: ") if prefix is None else prefix)

    def write_heading(self, heading: str) -> None:
        """The heading of a section."""
        self.write(" " * self.current_indent + _("{heading}:").format(heading=heading) + "\n")

    def write_text(self, text: str) -> None:
        """Paragraphs."""
        super().write_text(_broken(text, self.width - self.current_indent))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Options or commands, each with what it does."""
        rows = list(rows)
        first = min(max((len(name) for name, _text in rows), default=0), col_max) + col_spacing
        width = max(self.width - first - 2, 10)
        super().write_dl([(name, _broken(text, width)) for name, text in rows], col_max, col_spacing)


class Context(click.Context):
    """What a command runs in; it formats with `Formatter`."""

    formatter_class = Formatter


class Command(click.Command):
    """A command whose help is translated when it is shown."""

    context_class = Context

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """What stands behind the name of the command."""
        return [_(piece) if piece in METAVARS else piece for piece in super().collect_usage_pieces(ctx)]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What the command does."""
        _write(formatter, self.help)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options."""
        if rows := [row for parameter in self.get_params(ctx) if (row := _record(parameter, ctx))]:
            with formatter.section(_("Options")):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What stands below everything."""
        _write(formatter, self.epilog)

    def get_short_help_str(self, limit: int = 45) -> str:
        """The command in one line."""
        first = paragraphs(self.help or "")[0].text
        spoken = _(first)
        return super().get_short_help_str(limit) if spoken == first else spoken

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What a shell offers after Tab."""
        items = super().shell_complete(ctx, incomplete)
        for item in items:
            item.help = _(item.help) if item.help else None
        return items


class Group(Command, click.Group):
    """A group of such commands."""

    command_class = Command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, and the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def _write(formatter: click.HelpFormatter, text: str | None) -> None:
    if text:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text("\n\n".join(one.translated() for one in paragraphs(text)))


def _record(parameter: click.Parameter, ctx: click.Context) -> tuple[str, str] | None:
    """An option and what it does; click puts what it knows of its default and its range behind that."""
    record = parameter.get_help_record(ctx)
    if record is None or isinstance(parameter, click.Argument):
        return None
    names, text = record
    english = getattr(parameter, "help", None) or ""
    return names, _(english) + text.removeprefix(english)


# --- lines of Chinese -----------------------------------------------------------------------------------


def _broken(text: str, width: int) -> str:
    """Text for click with its Chinese paragraphs broken into lines already."""
    return "\n\n".join(
        "\b\n" + "\n".join(_lines(one, width)) if any(map(_is_wide, one)) and one[0] != "\b" else one
        for one in text.split("\n\n")
    )


def _lines(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns; none begins with closing punctuation or ends with opening."""
    lines, line = [], ""
    for piece in _pieces(text):
        if line and _columns((line + piece).rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        if line or not piece.isspace():
            line += piece
    return [*lines, line.rstrip()] if line else lines


def _pieces(text: str) -> Iterator[str]:
    """What a line is not broken in: spaces, words, a Chinese character and its punctuation."""
    piece = ""
    for character in text:
        if piece and _may_part(piece[-1], character):
            yield piece
            piece = ""
        piece += character
    if piece:
        yield piece


def _may_part(before: str, after: str) -> bool:
    if before.isspace() or after.isspace():
        return before.isspace() != after.isspace()
    return (_is_wide(before) or _is_wide(after)) and before not in _OPENING and after not in _CLOSING


def _columns(text: str) -> int:
    return sum(2 if _is_wide(character) else 1 for character in text)


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"
