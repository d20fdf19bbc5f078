"""The keys that work here, at the foot of the screen."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from chatterm.language import _
from chatterm.tui import keys
from chatterm.tui.text.lines import MUTED
from chatterm.tui.widgets.paint import Paint

Hint = tuple[str, str, str]
"""A key's name, what it does, and the action of a click."""


def temperature() -> Hint:
    """The keys of the temperature, as one."""
    up, down = (
        next(key.keys[0] for key in keys.of("chat") if key.action == name) for name in ("hotter", "colder")
    )
    both = "alt+↑↓" if (up, down) == ("alt+up", "alt+down") else f"{keys.name(up)} {keys.name(down)}"
    return both, _("temperature"), "parameters"


class KeyLine(Widget):
    """The keys that work here, as many as fit; a click does what the key does."""

    DEFAULT_CSS = """
    KeyLine { height: 1; background: $background; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._paint = Paint(self)
        self._hints: list[Hint] = []  # key, what it does, action
        self._places: list[tuple[int, str]] = []

    def show(self, hints: list[Hint]) -> None:
        """Show these: the key's name, what it does, and the action of a click."""
        if hints != self._hints:
            self._hints = hints
            self.refresh()

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self._paint.forget()

    def render_line(self, y: int) -> Strip:
        """The only line."""
        base = self.rich_style
        muted = base + self._paint.style(MUTED)
        segments: list[Segment] = []
        self._places = []
        used = 0
        for name, says, action in self._hints:
            width = cell_len(name) + 1 + cell_len(says) + 3
            if used + width - 3 > self.size.width:
                break
            segments += [Segment(name, base + Style(bold=True)), Segment(f" {says}   ", muted)]
            used += width
            self._places.append((used, action))
        return Strip(segments).crop_extend(0, self.size.width, base)

    async def on_click(self, event: events.Click) -> None:
        """Do what the key does."""
        action = next((action for end, action in self._places if event.x - 1 < end), None)
        if action:
            await self.screen.run_action(action)


def chat_hints(*, writing: bool) -> list[Hint]:
    """The keys of the chat; while a reply is being written, how to stop it comes first."""
    names = ("select_tokens", "pick", "parameters", "toggle_panel", "conversations", "new", "regenerate")
    stop = [hint("stop")] if writing else []
    return [*stop, hint("app.help"), temperature(), *map(hint, names)]


def token_hints() -> list[Hint]:
    """The keys while a token is selected."""
    walk = [("←→", _("token"), "select_tokens"), ("↑↓", _("line"), "select_tokens")]
    more = [("alt+s", _("colour"), "colour"), ("alt+c", _("several"), "continuations")]
    return [*walk, ("enter", _("choose another"), "enter_candidates"), hint("leave"), temperature(), *more]


def candidate_hints() -> list[Hint]:
    """The keys while the cursor is among the candidates."""
    walk = [("↑↓", _("candidate"), "enter_candidates"), ("←→", _("token"), "enter_candidates")]
    own = [("w", _("own words"), "own_words"), ("/", _("find"), "find_word")]
    more = [("c", _("several"), "continuations"), ("p", _("plot"), "rank_plot")]
    go = ("enter", _("go on from it"), "fork")
    return [*walk, go, *own, *more, ("esc", _("back"), "leave_candidates")]


def view_hints() -> list[Hint]:
    """The keys while a view of the panel has them; those of the view itself stand in its last lines."""
    both = " ".join(_of("glass", f"step({step})")[0] for step in (-1, 1))
    names = ("view(1)", "maximise", "toggle_panel", "app.help")
    esc, back, _leave = _of("glass", "leave")
    return [(both, _("token"), "select_tokens"), (esc, back, "leave_candidates"), *map(hint, names)]


def message_hints() -> list[Hint]:
    """The keys while a message is chosen."""
    walk = [("↑↓", _("message"), "choose_message"), ("←→", _("version"), "choose_message")]
    names = (
        "edit_message",
        "continue_message",
        "answer_anew",
        "unfold_message",
        "copy_message",
        "copy_plain",
        "copy_code",
    )
    own = [hint(f"screen.{name}") for name in names]
    tree = [(keys.name("alt+t"), _("tree"), "tree")]
    return [*walk, hint("screen.leave_messages"), *own, *tree]


def list_hints() -> list[Hint]:
    """The keys in the list of conversations."""
    names = ("choose", *(f"screen.{name}" for name in ("find", "rename", "pin", "delete", "undo", "new")))
    own = [_of("conversations", name) for name in names]
    open_it, *others = own
    back = _of("conversations", "screen.leave_sidebar")
    return [("↑↓", _("conversation"), "conversations"), open_it, back, *others]


def _of(scope: keys.Scope, action: str) -> Hint:
    key = next(key for key in keys.of(scope) if key.action == action)
    return keys.name(key.keys[0]), _(key.hint), action


def hint(action: str) -> Hint:
    """The hint of a key of the table."""
    key = next(key for scope in keys.SCOPES for key in keys.of(scope) if key.action == action)
    return keys.name(key.keys[0]), _(key.hint), action
