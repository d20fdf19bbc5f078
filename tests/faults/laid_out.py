"""Lays out the text in a file, in a process of its own: `python -m tests.faults.laid_out HOW FILE WIDTH`.

It writes what that took, in seconds of processor time, and whether the text was too slow for its allowance.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from chatterm.allowance import Allowance
from chatterm.tui.text import highlight
from chatterm.tui.text.markdown import Markdown

MOST_SECONDS = 120
"""Of processor time, after which the system ends the process: nothing else has."""

late: list[str] = []


def whole(text: str, width: int) -> int:
    """As a saved message; how many characters were laid out."""
    Markdown(text, width).lines()
    return len(text)


def grown(text: str, width: int) -> int:
    """As a reply that is being written, in forty pieces."""
    markdown, laid_out = Markdown("", width), 0
    step = len(text) // 40 + 1
    for start in range(0, len(text), step):
        kept = markdown.append(text[start : start + step])
        laid_out += len(markdown.source) - (markdown.blocks[kept].start if len(markdown.blocks) > kept else 0)
    return laid_out


def exported(text: str, width: int) -> int:
    """As a message in exported Markdown."""
    from chatterm.library.exports.markdown import harmless

    harmless(text)
    return 4 * len(text)


def printed(text: str, width: int) -> int:
    """As a message that a command prints."""
    from rich.console import Console

    from chatterm.cli.rendering import print_markdown

    print_markdown(Console(file=io.StringIO(), width=width, force_terminal=True), text)
    return len(text)


HOW: dict[str, Callable[[str, int], int]] = {
    "whole": whole,
    "grown": grown,
    "exported": exported,
    "printed": printed,
}


def _watch() -> None:
    """Note which kinds of work were broken off."""
    within = Allowance.within

    def watched(self: Allowance, characters: int, work: Callable[[], object]) -> object:
        found = within(self, characters, work)
        if found is None:
            late.append("code" if self in (highlight.ALLOWANCE, highlight.LOADING) else "text")
        return found

    Allowance.within = watched  # type: ignore[method-assign, assignment]


def main() -> None:
    how, path, width = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    text = Path(path).read_text("utf-8", "surrogatepass")
    HOW[how]("*a* `b` $c$\n\n```py\nd\n```\n\n|e|\n|-|\n|f|\n", 80)  # what is imported
    _watch()
    began = time.process_time()
    characters = HOW[how](text, int(width))
    took = time.process_time() - began
    print(json.dumps({"seconds": took, "characters": characters, "late": sorted(set(late))}))


if __name__ == "__main__":
    main()
