"""A conversation as a file for other programs and other people.

`export` gives the text of any format; all of them are pure functions of a `Whole`. Foreign text is inert in
each: it can neither act nor pass for structure, and control and bidirectional characters are made visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Literal, get_args

from chatterm.errors import UserError
from chatterm.library.exchange import Whole

Format = Literal["markdown", "json", "text", "html", "svg"]
FORMATS: tuple[Format, ...] = get_args(Format)

SUFFIXES: dict[str, Format] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".json": "json",
    ".txt": "text",
    ".text": "text",
    ".html": "html",
    ".htm": "html",
    ".svg": "svg",
}


def format_of(path: PurePath) -> Format:
    """The format that a file's suffix asks for.

    Raises:
        UserError: it asks for none that there is.
    """
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        known = ", ".join(SUFFIXES)
        raise UserError(
            f"The suffix of {path.name} says no format: choose one with --format, or one of {known}."
        ) from None


def export(wholes: Sequence[Whole], format_: Format, *, branches: bool = False) -> str:
    """Conversations as one text.

    Args:
        wholes: at least one; only JSON holds several.
        format_: which form.
        branches: all branches, not only the active path. JSON always has all of them.

    Raises:
        UserError: several were to be put into a format that holds one.
    """
    if format_ == "json":
        from chatterm.library.exports.json import as_json

        return as_json(wholes)
    if len(wholes) != 1:
        raise UserError(f"Only JSON holds several conversations, not {format_}: choose one, or JSON.")
    (whole,) = wholes
    match format_:
        case "markdown":
            from chatterm.library.exports.markdown import as_markdown

            return as_markdown(whole, branches=branches)
        case "text":
            from chatterm.library.exports.plain import as_text

            return as_text(whole, branches=branches)
        case "html":
            from chatterm.library.exports.html import as_html

            return as_html(whole, branches=branches)
        case "svg":
            from chatterm.library.exports.svg import as_svg

            return as_svg(whole, branches=branches)
