"""One SVG picture: the conversation on a grid of terminal columns, coloured by probability.

Every run of text is stretched to the columns that it takes, so that Chinese and emoji stand on the grid
whatever font the viewer has. A line with letters written from right to left is left to the viewer's own
ordering, as one run.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from html import escape

import msgspec
from rich.cells import cell_len, split_graphemes

from chatterm import inert
from chatterm.library.exchange import Whole
from chatterm.library.exports import colours, outline
from chatterm.library.exports.html import text
from chatterm.library.exports.plain import heading
from chatterm.library.records import Token

COLUMNS = 88
CELL = 8.4  # user units; 0.6 of the font size, as monospaced fonts are
LINE = 21
MARGIN = 24
TAB = "    "


class Run(msgspec.Struct):
    """Text on one line with one look. `column` and `cells` are in terminal columns."""

    text: str
    look: str  # a class of the style sheet
    column: int
    cells: int
    token: Token | None = None


Row = list[Run]


def as_svg(whole: Whole, *, branches: bool = False) -> str:
    """A conversation as a picture; its colours follow the viewer's preference for dark or light."""
    rows = list(_rows(whole, branches))
    width = COLUMNS * CELL + 2 * MARGIN
    height = len(rows) * LINE + 2 * MARGIN
    body = "\n".join(_row(row, MARGIN + (at + 0.75) * LINE) for at, row in enumerate(rows) if row)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" xml:space="preserve">\n'
        f"<title>{text(outline.title(whole))}</title>\n<style>{_style()}</style>\n"
        f'<rect class="paper" width="100%" height="100%"/>\n{body}\n</svg>\n'
    )


def _rows(whole: Whole, branches: bool) -> Iterator[Row]:
    yield from laid_out([(outline.title(whole), None)], "title")
    yield from laid_out([(" · ".join(filter(None, outline.facts(whole))), None)], "muted")
    shown = list(outline.entries(whole, branches=branches))
    if any(entry.message.id in whole.tokens for entry in shown):
        yield _legend()
    if whole.conversation.system_prompt:
        yield []
        yield from laid_out([("System prompt", None)], "muted")
        yield from laid_out([(inert.block(whole.conversation.system_prompt), None)], "said")
    for entry in shown:
        yield []
        yield from laid_out([(heading(entry, branches=branches), None)], "muted")
        tokens = whole.tokens.get(entry.message.id, ())
        yield from laid_out(outline.runs(tokens, entry.message.content), "said")


def _legend() -> Row:
    words = "probability "
    row = [Run(words, "muted", 0, len(words))]
    for step, name in enumerate(colours.LEGEND):
        column = row[-1].column + row[-1].cells + 2 * bool(step)
        row.append(Run(name, f"s{step}", column, cell_len(name)))
    return row


def laid_out(
    pieces: Iterator[tuple[str, Token | None]] | list[tuple[str, Token | None]], look: str
) -> list[Row]:
    """Inert text and the tokens it came from, wrapped to `COLUMNS`: between words where there is a space."""
    rows: list[Row] = [[]]
    for piece, token in pieces:
        kind = look if token is None else f"s{colours.step(token.logprob)}"
        for number, part in enumerate(piece.replace("\t", TAB).split("\n")):
            if number:
                rows.append([])
            if part:
                _append(rows, part, kind, token)
    return rows


def _append(rows: list[Row], part: str, look: str, token: Token | None) -> None:
    run: Run | None = None
    for start, end, cells in split_graphemes(part)[0]:
        grapheme = part[start:end]
        row = rows[-1]
        column = row[-1].column + row[-1].cells if row else 0
        if column + cells > COLUMNS:
            rows.append(_carried(row) if not grapheme.isspace() else [])
            row, run = rows[-1], None
            column = row[-1].column + row[-1].cells if row else 0
            if not row and grapheme == " ":
                continue
        if run is None or run is not row[-1]:
            run = Run("", look, column, 0, token)
            row.append(run)
        run.text += grapheme
        run.cells += cells


def _carried(row: Row) -> Row:
    """Take the beginning of a word off the end of a full row, to begin the next; [] if it is long."""
    for at in range(len(row) - 1, -1, -1):
        space = row[at].text.rfind(" ")
        if space >= 0:
            run = row[at]
            head, tail = run.text[: space + 1], run.text[space + 1 :]
            if cell_len(tail) + sum(later.cells for later in row[at + 1 :]) > COLUMNS // 2:
                return []
            carried = [Run(tail, run.look, 0, cell_len(tail), run.token)] if tail else []
            carried += row[at + 1 :]
            run.text, run.cells = head, cell_len(head)
            del row[at + 1 :]
            column = 0
            for moved in carried:
                moved.column = column
                column += moved.cells
            return carried
    return []


def _row(row: Row, y: float) -> str:
    runs = [run for run in row if run.text.strip()]
    if any(unicodedata.bidirectional(character) in ("R", "AL") for run in runs for character in run.text):
        spans = "".join(f'<tspan class="{run.look}">{_hint(run)}{escape(run.text)}</tspan>' for run in row)
        return f'<text x="{MARGIN}" y="{y:.1f}">{spans}</text>'
    return "\n".join(
        f'<text class="{run.look}" x="{MARGIN + run.column * CELL:.1f}" y="{y:.1f}" '
        f'textLength="{run.cells * CELL:.1f}" lengthAdjust="spacingAndGlyphs">'
        f"{_hint(run)}{escape(run.text)}</text>"
        for run in runs
    )


def _hint(run: Run) -> str:
    return f"<title>{text(colours.tooltip(run.token))}</title>" if run.token else ""


def _style() -> str:
    dark = "".join(f".s{step}{{fill:{colour}}}" for step, colour in enumerate(colours.DARK))
    light = "".join(f".s{step}{{fill:{colour}}}" for step, colour in enumerate(colours.LIGHT))
    marked = ",".join(f".s{step}" for step in range(colours.MARK_FROM_STEP, len(colours.DARK)))
    return (
        "text{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
        f"font-size:{CELL / 0.6:.0f}px;white-space:pre;fill:#d5dade}}"
        ".paper{fill:#0f1113}.title{font-weight:bold}.muted{fill:#7f8992}"
        f"{dark}{marked}{{text-decoration:underline}}"
        "@media(prefers-color-scheme:light){text{fill:#23292e}.paper{fill:#fcfbf9}.muted{fill:#67707a}"
        f"{light}}}"
    )
