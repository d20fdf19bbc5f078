"""What an empty conversation shows: what the model is and can do, what to ask it, and what else there is."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from chatterm import inert
from chatterm.chat.engines import Step
from chatterm.engine.messages import Progress
from chatterm.language import _, mark
from chatterm.records.generation import ModelInfo
from chatterm.tui.messages import ExampleChosen, PickerWanted
from chatterm.tui.text import bars

EXAMPLES = (
    mark("Write three lines about the sea."),
    mark("Why is the sky blue?"),
    mark("Give me five names for a black cat."),
)
SMALL = 600_000_000
"""Parameters up to which a model is said to know little."""

BAR = 32


class Choice(Static, can_focus=True):
    """A line that can be clicked, or chosen with Enter."""

    DEFAULT_CSS = """
    Choice {
        width: auto;
        max-width: 100%;
        height: auto;
        padding: 0 1;
        &:hover { background: $boost; }
        &:focus { background: $block-cursor-background; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "Choose", show=False)]

    def action_choose(self) -> None:
        """Choose it."""
        self.chosen()

    def on_click(self, event: events.Click) -> None:
        """Choose it."""
        event.stop()
        self.chosen()

    def chosen(self) -> None:
        """What choosing does."""
        raise NotImplementedError


class Example(Choice):
    """An example prompt."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._english = text
        self.show()

    def show(self) -> None:
        """In the language spoken now."""
        self.text = _(self._english)
        self.update(Content(f"› {self.text}"))

    def chosen(self) -> None:
        """Send it."""
        self.post_message(ExampleChosen(self.text))


class Better(Choice):
    """Opens the picker."""

    def chosen(self) -> None:
        """Open it."""
        self.post_message(PickerWanted())


class Welcome(VerticalScroll, can_focus=False):
    """Fills the conversation's place while there is none."""

    DEFAULT_CSS = """
    Welcome {
        height: 1fr;
        background: $background;
        padding: 1 2;
        scrollbar-size-vertical: 1;
        align-horizontal: center;
        & > .column { width: 100%; max-width: 76; height: auto; }
        & .title { text-style: bold; margin-bottom: 1; }
        & .state { margin-bottom: 1; }
        & .heading { color: $muted; }
    }
    """

    def compose(self) -> ComposeResult:
        """The parts, from what it is to what to do."""
        with VerticalScroll(classes="column", can_focus=False):
            yield Static(classes="title")
            yield Static("", classes="state", id="state")
            yield Static(classes="heading")
            for text in EXAMPLES:
                yield Example(text)
            yield Static("")
            yield Better("", id="better")

    def show(self, info: ModelInfo | None, step: Step | None, trouble: str, about: str, better: str) -> None:
        """Show the state of things.

        Args:
            info: the loaded model.
            step: what is being done to have one.
            trouble: why there is none.
            about: what the catalog says of it.
            better: what else can be had, one line.
        """
        self.query_one(".title", Static).update(
            Content(_("Talk with a language model on this machine, and see it think."))
        )
        self.query_one(".heading", Static).update(Content(_("Try:")))
        for example in self.query(Example):
            example.show()
        self.query_one("#state", Static).update(Content(self._state(info, step, trouble, about)))
        self.query_one("#better", Better).update(Content(better))

    @staticmethod
    def _state(info: ModelInfo | None, step: Step | None, trouble: str, about: str) -> str:
        if info is not None:
            kind = (
                ""
                if info.is_chat
                else _("It is a base model: it continues text, and was not trained to chat.")
            )
            small = (
                _("So small a model writes fluently and knows little: check what it claims.")
                if info.parameters <= SMALL and not about
                else ""
            )
            name = inert.line(info.name)
            ready = _("{name}, {parameters} parameters, is ready on {device}.").format(
                name=name, parameters=bars.parameters(info.parameters), device=info.device
            )
            return " ".join(filter(None, (ready, _(about), kind, small)))
        if trouble:
            return inert.line(trouble)
        if step is None:
            return _("Starting …")
        meanwhile = _("You can write meanwhile; it is answered as soon as the model is ready.")
        return f"{loading(step)}\n{meanwhile}"


def loading(step: Step) -> str:
    """What is being done, with a bar, sizes, speed and remaining time as far as they are known."""
    progress = step.progress
    if progress is None:
        return f"{_(step.what)} …"
    what = inert.line(_(progress.what))
    what = what[:1].upper() + what[1:]
    if not progress.total:
        return f"{what} … {_amount(progress, progress.done)}"
    share = progress.done / progress.total
    parts = [
        _("{done} of {total}").format(
            done=_amount(progress, progress.done), total=_amount(progress, progress.total)
        )
    ]
    if progress.per_second:
        parts.append(f"{_amount(progress, progress.per_second)}/s")
    if progress.remaining is not None:
        parts.append(_("{time} left").format(time=bars.duration(progress.remaining)))
    return f"{what}\n▕{bars.bar(share, BAR)}▏{share:4.0%}\n{' · '.join(parts)}"


def _amount(progress: Progress, number: float) -> str:
    return (
        bars.size(number) if progress.unit == "bytes" else f"{bars.count(round(number))} {_(progress.unit)}"
    )
