"""What the screens that lie over the chat have in common."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from textual import events
from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette
from textual.css.styles import RenderStyles, Styles
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widgets import OptionList

from chatterm.language import _
from chatterm.tui.keys import Scope

Answer = TypeVar("Answer")


class Palette(CommandPalette):
    """The command palette."""

    def __init__(self) -> None:
        super().__init__(placeholder=_("Search for commands …"))

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Go away, once."""
        return super().dismiss(result) if self.app.screen is self else _nothing()

    def _action_command_list(self, action: str) -> None:
        if self.query_one(CommandList).scrollable_content_region:  # else it has no room to move in
            super()._action_command_list(action)

    def get_component_styles(self, *names: str) -> RenderStyles:
        """Plain ones when it has gone away and lost its own: its search may still make a last line."""
        return super().get_component_styles(*names) if self.is_attached else _plain(self)


class Dialog(ModalScreen[Answer]):
    """A framed box over the chat, which shows through around it."""

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        background: $background 60%;
        & > .box {
            width: 90%;
            max-width: 100;
            height: auto;
            max-height: 90%;
            background: $surface;
            border: round $muted;
            border-title-color: $foreground;
            border-title-style: bold;
            border-subtitle-color: $muted;
            padding: 0 1;
        }
        & OptionList {
            height: auto;
            max-height: 1fr;
            border: none;
            background: $surface;
            padding: 0;
            scrollbar-size-vertical: 1;
            &:focus { border: none; background-tint: $foreground 0%; }
            & > .option-list--option-disabled { color: $muted; }
        }
        & Input {
            height: 1;
            border: none;
            padding: 0 1;
            background: $panel;
            &:focus { border: none; }
        }
    }
    """

    CLOSED_FROM_BESIDE: ClassVar[bool] = True
    """Whether a click beside the box closes it; not where words are written that would be lost."""
    _pressed_beside = False

    SCOPE: ClassVar[Scope]
    """Where its keys stand in the table."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Before it is there it can only be left: keys may come faster than screens."""
        return super().check_action(action, parameters) if self.is_mounted or action == "back" else False

    def action_choose(self) -> None:
        """Do what the highlighted row of the list stands for."""
        self.query_one(OptionList).action_select()

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Go away with an answer, once: however fast the keys come, each takes a screen from the pile."""
        return super().dismiss(result) if self.app.screen is self else _nothing()

    def action_back(self) -> None:
        """To the chat, without an answer."""
        self.dismiss(None)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """A click beside the box is the key that goes back."""
        pressed, self._pressed_beside = self._pressed_beside, False
        if pressed and self._is_beside(event):
            self.call_later(self.run_action, "back")

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """It counts if it begins and ends there: what is dragged out of the box closes nothing."""
        self._pressed_beside = self.CLOSED_FROM_BESIDE and self._is_beside(event)

    def _is_beside(self, event: events.MouseEvent) -> bool:
        boxes = self.query(".box")
        return bool(boxes) and not boxes.first().region.contains(int(event.screen_x), int(event.screen_y))

    def on_unmount(self) -> None:
        """An editor watches the theme of the application, which keeps it until the theme changes."""
        for watching in getattr(self.app, "__watchers", {}).values():
            watching[:] = [(node, told) for node, told in watching if not node._closing]


def _plain(node: DOMNode) -> RenderStyles:
    return RenderStyles(node, Styles(), Styles())


def _nothing() -> AwaitComplete:
    done: AwaitComplete = AwaitComplete.nothing()  # type: ignore[no-untyped-call]
    return done
