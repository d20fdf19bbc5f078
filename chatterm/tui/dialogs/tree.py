"""The whole conversation as a tree: every version of every message, to go to one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from chatterm import inert
from chatterm.language import _, several
from chatterm.library import Node
from chatterm.tui import keys
from chatterm.tui.dialogs.dialog import Dialog
from chatterm.tui.text import bars
from chatterm.tui.text.lines import FAINT, MUTED
from chatterm.tui.widgets.row_list import RowList


class Branchlet(NamedTuple):
    """A message of the tree and the guides in front of it."""

    guides: str
    node: Node
    version: int  # of those that answer the same message, from 1 …
    versions: int  # … and how many there are


def guided(nodes: Sequence[Node]) -> list[Branchlet]:
    """The guides of a tree, depth first. What is the only answer to a message stands straight below it."""
    children: dict[int | None, list[int]] = {}
    for node in nodes:
        children.setdefault(node.parent, []).append(node.id)
    below: dict[int | None, str] = {None: ""}  # the guides of what answers a message
    found = []
    for node in nodes:
        siblings = children[node.parent]
        place = siblings.index(node.id)
        guides = before = below[node.parent]
        if len(siblings) > 1:
            last = place == len(siblings) - 1
            guides += "└─" if last else "├─"
            before += "  " if last else "│ "
        below[node.id] = before
        found.append(Branchlet(guides, node, place + 1, len(siblings)))
    return found


class TreeList(RowList):
    """One line for each message; those that are on the way shown now are marked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        binding for binding in keys.bindings("tree") if ".back" not in str(binding)
    ]

    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__()
        self.branchlets = guided(nodes)

    def on_mount(self) -> None:
        """The cursor on the end of the way shown now."""
        active = [n for n, branchlet in enumerate(self.branchlets) if branchlet.node.active]
        self.lay_out([1] * len(self.branchlets), active[-1] if active else 0)
        self.call_after_refresh(self.show_cursor)
        self.focus()

    def draw(self, row: int, line: int, width: int, base: Style) -> list[Segment]:
        """Guides, who said it, which version, how it begins."""
        guides, node, version, versions = self.branchlets[row]
        muted, faint = base + self._paint.style(MUTED), base + self._paint.style(FAINT)
        guides = bars.fit_end(guides, width // 3)
        sign = "● " if node.active else "○ "
        who = _("you") if node.role == "user" else inert.line(node.model or "") or _("model")
        facts = f" {version}/{versions}" if versions > 1 else ""
        strong = base + Style(bold=True) if node.active else base
        head = [Segment(f" {guides}", faint), Segment(sign, strong if node.active else faint)]
        head += [Segment(f"{bars.fit(who, min(cell_len(who), width // 4))}{facts}  ", muted)]
        room = width - sum(segment.cell_length for segment in head)
        return [*head, Segment(bars.fit(inert.line(node.preview), max(0, room)), strong)]

    def action_sibling(self, step: int) -> None:
        """To another version of the message under the cursor."""
        here = self.branchlets[self.cursor]
        for row in range(len(self.branchlets)):
            other = self.branchlets[row]
            if other.node.parent == here.node.parent and other.version == here.version + step:
                self.put_cursor(row)
                return


class TreeScreen(Dialog[int]):
    """Dismissed with the number of a message, or None."""

    DEFAULT_CSS = """
    TreeScreen {
        & > .box { height: 90%; max-width: 140; width: 95%; }
        & RowList { background: $surface; }
    }
    """
    SCOPE = "tree"
    BINDINGS: ClassVar[list[BindingType]] = [
        binding for binding in keys.bindings("tree") if ".back" in str(binding)
    ]

    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__()
        self._said = nodes

    def compose(self) -> ComposeResult:
        """The tree."""
        leaves = sum(not node.children for node in self._said)
        with Vertical(classes="box") as box:
            box.border_title = (
                _("The whole conversation")
                + " · "
                + several("{count} way through it", "{count} ways through it", leaves).format(count=leaves)
            )
            box.border_subtitle = _("● shown now · enter goes there · ←→ other version · esc back")
            yield TreeList(self._said)

    @on(RowList.Chosen)
    def _chosen(self, event: RowList.Chosen) -> None:
        self.dismiss(self.query_one(TreeList).branchlets[event.row].node.id)
