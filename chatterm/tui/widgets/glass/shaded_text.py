"""Tokens of a text, each with a height below it: where a head looks, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from chatterm import inert


@dataclass(frozen=True)
class Piece:
    """A token on a line, in its cells."""

    position: int
    text: str
    start: int  # cell
    width: int


def lay_out(tokens: Sequence[str], first: int, width: int) -> list[list[Piece]]:
    """Tokens from position `first` on, in lines of `width` cells; a newline ends a line."""
    lines: list[list[Piece]] = [[]]
    used = 0
    for position in range(first, len(tokens)):
        raw = tokens[position]
        shown = inert.token(raw) if raw != raw.strip(" ") or not raw.strip() else inert.line(raw)
        shown = shown.replace("·", " ", 1) if raw.startswith(" ") and raw.strip() else shown
        while cell_len(shown) > width:
            shown = shown[: max(1, len(shown) // 2)] + "…"
        cells = cell_len(shown)
        if used + cells > width:
            lines.append([])
            used = 0
        lines[-1].append(Piece(position, shown, used, cells))
        used += cells
        if raw.endswith("\n"):
            lines.append([])
            used = 0
    return [line for line in lines if line]


def tail(tokens: Sequence[str], width: int, lines: int, first: int = 0) -> list[list[Piece]]:
    """The last tokens, as many as fit into so many lines."""
    start = max(first, len(tokens) - lines * width)
    return lay_out(tokens, start, width)[-lines:] if lines > 0 else []
