"""Plain text. What was said is indented, so that nothing said can pass for a heading."""

from __future__ import annotations

from rich.cells import cell_len

from chatterm import inert
from chatterm.library.exchange import Whole
from chatterm.library.exports import outline

INDENT = "    "


def as_text(whole: Whole, *, branches: bool = False) -> str:
    """A conversation as plain text."""
    title = outline.title(whole)
    lines = [title, "=" * cell_len(title), " · ".join(filter(None, outline.facts(whole))), ""]
    if whole.conversation.system_prompt:
        lines += ["System prompt", *_indented(whole.conversation.system_prompt), ""]
    for entry in outline.entries(whole, branches=branches):
        lines += [heading(entry, branches=branches), *_indented(entry.message.content), ""]
    return "\n".join(lines)


def heading(entry: outline.Entry, *, branches: bool) -> str:
    """Like "You", or with branches "3. SmolLM2 (answers 2; 2 of 3)"."""
    facts = ([f"answers {entry.answers}"] if entry.answers else []) + list(entry.facts)
    number = f"{entry.number}. " if branches else ""
    return f"{number}{entry.speaker}" + (f" ({'; '.join(facts)})" if facts else "")


def _indented(text: str) -> list[str]:
    return [(INDENT + line).rstrip(" ") for line in inert.block(text).split("\n")]
