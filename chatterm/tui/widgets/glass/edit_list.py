"""Edits: what of the model is switched off, scaled or steered."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from chatterm import inert
from chatterm.chat.edits import FORMS, EditList, parse, words
from chatterm.chat.inspection import Answers, Scene
from chatterm.errors import UserError
from chatterm.language import _, mark, several
from chatterm.records.inspection import Question, Steer
from chatterm.tui import messages
from chatterm.tui.dialogs.fields import Field, FieldsScreen
from chatterm.tui.text import bars
from chatterm.tui.widgets.glass.panel import GlassPanel, Row
from chatterm.tui.widgets.knobs import whole_number

STEP = 0.25
EMPTY = mark(
    "The model computes as it was trained. n lists a part to switch off or scale, d a steering direction "
    "from two texts; in the other views o switches off what the cursor is on."
)


class EditsPanel(GlassPanel):
    """The list; a line is made in the model as soon as it is on."""

    NAME: ClassVar[str] = mark("edits")
    HINTS: ClassVar[str] = mark("n new · d steer · space on/off · ←→ scale · del · c compare")
    NEEDS_MOMENT: ClassVar[bool] = False

    def __init__(self, edits: EditList, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.edits = edits
        self.place = 0
        self.refused = ""

    def questions(self, scene: Scene, answers: Answers) -> list[Question[Any]]:
        """Nothing: the list is the user's own."""
        return []

    def body(self) -> list[Row]:
        """A line for each edit."""
        entries = self.edits.entries
        self.place = min(self.place, max(0, len(entries) - 1))
        rows: list[Row] = []
        for number, entry in enumerate(entries):
            here = number == self.place
            mark = "●" if entry.on else "○"
            style = self.base if entry.on else self.muted
            waiting = ""
            if entry.on and entry.edit not in self.edits.in_force:
                waiting = "  " + _("(not yet)")
            rows.append(
                [
                    Segment("▸" if here else " ", self.bold),
                    Segment(f"{mark} ", self.bold),
                    Segment(
                        bars.fit(inert.line(words(entry.edit)), max(8, self.width - 3 - cell_len(waiting))),
                        style + Style(reverse=here and self.has_focus),
                    ),
                    Segment(waiting, self.muted),
                ]
            )
        rows = rows or self.sentences(_(EMPTY))
        trouble = self.refused or self.edits.trouble
        return [*rows, [], *self.sentences(trouble)] if trouble else rows

    def notes(self) -> list[str]:
        """What is in force, and what it holds for."""
        number = len(self.edits.in_force)
        if not number:
            return [_("nothing is edited · ● on ○ off"), ""]
        said = several(
            "{count} edit is in force: replies, predictions",
            "{count} edits are in force: replies, predictions",
            number,
        )
        return [said.format(count=number), _("and all views compute with them · x all off")]

    def cursor_row(self) -> int | None:
        """The chosen line."""
        return self.place

    # --- keys and mouse ---------------------------------------------------------------------------------

    def _turned(self) -> None:
        self.refused = ""
        self.redraw()
        self.post_message(messages.EditsTurned())

    @property
    def _here(self) -> bool:
        return self.place < len(self.edits.entries)

    def action_move(self, down: int, right: int) -> None:
        """Another line; stronger or weaker."""
        if right and self._here:
            self.edits.scale(self.place, right * STEP)
            self._turned()
        elif down:
            self.place = min(max(0, self.place + down), max(0, len(self.edits.entries) - 1))
            self.redraw()

    def clicked(self, x: int, row: int) -> None:
        """Choose a line; on its mark, switch it."""
        if row < len(self.edits.entries):
            self.place = row
            if x in (1, 2):
                self.action_flip()
            self.redraw()

    def action_flip(self) -> None:
        """On or off."""
        if self._here:
            self.edits.flip(self.place)
            self._turned()

    def action_off(self) -> None:
        """The same."""
        self.action_flip()

    def action_remove(self) -> None:
        """Out of the list."""
        if self._here:
            self.edits.remove(self.place)
            self._turned()

    def action_all_off(self) -> None:
        """The model as it is."""
        self.edits.all_off()
        self._turned()

    def action_compare(self) -> None:
        """Clean and edited, side by side."""
        self.post_message(messages.CompareWanted())

    def action_add(self) -> None:
        """A part to switch off or scale."""
        self.app.push_screen(FieldsScreen(_("A new edit"), (Field(_("part"), hint=_(FORMS)),)), self._added)

    def _added(self, values: tuple[str, ...] | None) -> None:
        if not values or not values[0].strip():
            return
        try:
            self.place = self.edits.add(parse(values[0]))
        except UserError as error:
            self.refused = error.sentence
            self.redraw()
        else:
            self._turned()

    def action_steer(self) -> None:
        """A direction from one text to another."""
        layers = self.scene.info.layers if self.scene.info is not None else 2
        fields = (
            Field(_("towards"), hint=_("a text, for example  I love this")),
            Field(_("away from"), hint="I hate this"),
            Field(_("after block"), str(layers // 2), _("0 to {last}").format(last=layers - 1)),
            Field(_("strength"), "1"),
        )
        self.app.push_screen(FieldsScreen(_("A steering direction"), fields), self._steered)

    def _steered(self, values: tuple[str, ...] | None) -> None:
        if values is None:
            return
        toward, away, layer, strength = values
        try:
            if (after := whole_number(layer.strip())) is None:
                raise ValueError
            edit = Steer(after, toward, away, float(strength))
        except ValueError:
            self.refused = _("The block is a whole number and the strength a number, like 15 and 1.5.")
            self.redraw()
            return
        self.place = self.edits.add(edit)
        self._turned()
