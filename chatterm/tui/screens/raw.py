"""What exactly the model sees: the rendered template as text, to be edited and sent as it is."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from chatterm.engine.messages import Rendered
from chatterm.errors import UserError
from chatterm.language import _
from chatterm.tui import keys
from chatterm.tui.rawtext import RawText
from chatterm.tui.screens.dialog import Dialog
from chatterm.tui.session import ChatSession


class RawScreen(Dialog[None]):
    """The text in an editor; ctrl+s sends it, and the reply stands beside the others."""

    DEFAULT_CSS = """
    RawScreen {
        & > .box { height: 90%; }
        & Static { color: $text-muted; height: auto; }
        & TextArea { height: 1fr; border: none; background: $panel; padding: 0 1; &:focus { border: none; } }
    }
    """
    SCOPE = "raw"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("raw")

    def __init__(self, session: ChatSession, rendered: Rendered) -> None:
        super().__init__()
        self._session = session
        self._raw = RawText(rendered)
        self._shows_tokens = False

    def compose(self) -> ComposeResult:
        """A note, and the text."""
        with Vertical(classes="box") as box:
            box.border_title = _("What the model sees")
            box.border_subtitle = _("ctrl+s send as it is · ctrl+l tokens · esc back")
            yield Static(self._note(), markup=False)
            yield TextArea(self._raw.text, soft_wrap=True, tab_behavior="focus")

    def on_mount(self) -> None:
        """Write at the end."""
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)

    def _note(self) -> str:
        return _(
            "{count} tokens, the template's among them. What you do not touch stays these tokens; "
            "a control token counts as one if it stands here already."
        ).format(count=len(self._raw.tokens))

    async def action_tokens(self) -> None:
        """The text as tokens, or as text again."""
        area = self.query_one(TextArea)
        self._shows_tokens = not self._shows_tokens
        if self._shows_tokens:
            self._raw_edited = area.text
            try:
                cut = await self._cut()
            except UserError as error:
                self.query_one(Static).update(error.sentence)
                return
            area.load_text("\n".join(f"{token:>7}  {text}" for token, text in cut))
        else:
            area.load_text(self._raw_edited)
        area.read_only = self._shows_tokens

    async def _cut(self) -> list[tuple[int, str]]:
        engine = self._session.engines.engine
        if engine is None:
            raise UserError(_("No model is loaded that could read this."))
        text = self._raw_edited if self._shows_tokens else self.query_one(TextArea).text
        return await self._raw.cut(engine, text)

    async def action_send_raw(self) -> None:
        """Let the model write on behind this text."""
        try:
            cut = await self._cut()
            self._session.answer_raw(tuple(token for token, _text in cut))
        except UserError as error:
            self.query_one(Static).update(error.sentence)
            return
        self.dismiss(None)
