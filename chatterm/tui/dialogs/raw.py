"""What exactly the model sees: the rendered template as text, to be edited and sent as it is."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Static, TextArea

from chatterm.chat.raw_prompt import RawText
from chatterm.chat.session import ChatSession
from chatterm.engine.messages import Rendered
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.tui import keys
from chatterm.tui.dialogs.dialog import Dialog

COUNT_SECONDS = 0.3
"""After the last key the tokens are counted anew."""


class RawScreen(Dialog[None]):
    """The text in an editor; ctrl+s sends it, and the reply stands beside the others."""

    DEFAULT_CSS = """
    RawScreen {
        & > .box { height: 90%; }
        & Static { color: $text-muted; height: auto; }
        & TextArea { height: 1fr; border: none; background: $panel; padding: 0 1; &:focus { border: none; } }
        & #cut { display: none; }
        & .-tokens { & #text { display: none; } & #cut { display: block; } }
    }
    """
    SCOPE = "raw"
    CLOSED_FROM_BESIDE = False
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("raw")

    def __init__(self, session: ChatSession, rendered: Rendered) -> None:
        super().__init__()
        self._session = session
        self._raw = RawText(rendered)
        self._waiting: Timer | None = None
        self._counting = False

    def compose(self) -> ComposeResult:
        """A note, the text, and in its place the tokens."""
        with Vertical(classes="box") as box:
            box.border_title = _("What the model sees")
            box.border_subtitle = _("ctrl+s send as it is · ctrl+l tokens · esc back")
            yield Static(self._note(self._raw.count), markup=False)
            yield TextArea(self._raw.shown, soft_wrap=True, tab_behavior="focus", id="text")
            yield TextArea("", read_only=True, tab_behavior="focus", id="cut")

    def on_mount(self) -> None:
        """Write at the end."""
        area = self._text
        area.focus()
        area.move_cursor(area.document.end)

    @property
    def _text(self) -> TextArea:
        return self.query_one("#text", TextArea)

    @property
    def _shows_tokens(self) -> bool:
        return self.query_one(".box").has_class("-tokens")

    def _note(self, count: int) -> str:
        return _(
            "{count} tokens, the template's among them. What you do not touch stays these tokens; "
            "a control token counts as one if it stands here already."
        ).format(count=count)

    # --- following the text -------------------------------------------------------------------------------

    @on(TextArea.Changed, "#text")
    def _edited(self) -> None:
        self._follow()
        if self._waiting is not None:
            self._waiting.stop()
        self._waiting = self.set_timer(COUNT_SECONDS, self._count)

    def _follow(self) -> None:
        """The tokens follow what was done to the text."""
        area = self._text
        cursor = area.document.get_index_from_location(area.cursor_location)  # type: ignore[attr-defined]
        self._raw.edit(area.text, cursor)

    def _count(self) -> None:
        self._waiting = None
        if not self._counting:
            self._counting = True
            self.run_worker(self._show_count(), exit_on_error=True)

    async def _show_count(self) -> None:
        """Say how many tokens it is now, and again if it was edited while the engine was asked."""
        counted = None
        while counted != self._raw.shown:
            counted = self._raw.shown
            try:
                said = self._note(len(await self._cut()))
            except UserError as error:
                said = error.sentence
            if self.is_attached:
                self.query_one(Static).update(said)
        self._counting = False

    async def _cut(self) -> list[tuple[int, str]]:
        engine = self._session.engines.engine
        if engine is None:
            raise UserError(_("No model is loaded that could read this."))
        return await self._raw.cut(engine)

    # --- keys ---------------------------------------------------------------------------------------------

    async def action_tokens(self) -> None:
        """The text as tokens, or as text again."""
        box, cut = self.query_one(".box"), self.query_one("#cut", TextArea)
        if self._shows_tokens:
            box.remove_class("-tokens")
            self._text.focus()
            return
        self._follow()
        try:
            tokens = await self._cut()
        except UserError as error:
            self.query_one(Static).update(error.sentence)
            return
        cut.load_text("\n".join(f"{token:>7}  {text}" for token, text in tokens))
        box.add_class("-tokens")
        cut.focus()

    async def action_send_raw(self) -> None:
        """Let the model write on behind this text."""
        self._follow()
        try:
            cut = await self._cut()
            self._session.answer_raw(tuple(token for token, _text in cut))
        except UserError as error:
            self.query_one(Static).update(error.sentence)
            return
        self.dismiss(None)
