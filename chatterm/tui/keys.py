"""Every key of the program, once: bindings, the help screen and `docs/keys.md` are made from this table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from textual.binding import Binding, BindingType

Scope = Literal["anywhere", "chat", "message", "tokens", "picker", "parameters", "conversations"]

SCOPES: dict[Scope, str] = {
    "anywhere": "Everywhere",
    "chat": "In the chat",
    "message": "Writing a message",
    "tokens": "Walking over tokens",
    "picker": "Choosing a model",
    "parameters": "Sampling values",
    "conversations": "Earlier conversations",
}


class Key(NamedTuple):
    """One action and the keys for it, the best one first; `hint` is its short name in the bottom line."""

    scope: Scope
    action: str
    keys: tuple[str, ...]
    says: str
    hint: str = ""
    priority: bool = False


KEYS: tuple[Key, ...] = (
    Key("anywhere", "app.help", ("f1",), "These keys", "keys", True),
    Key("anywhere", "app.command_palette", ("ctrl+p",), "Everything, to be searched by name", "", True),
    Key("anywhere", "app.quit", ("ctrl+q",), "Leave; everything is saved", "", True),
    Key("chat", "hotter", ("alt+up", "ctrl+up", "f8"), "Temperature up by 0.05", "", True),
    Key("chat", "colder", ("alt+down", "ctrl+down", "f7"), "Temperature down by 0.05", "", True),
    Key("chat", "stop", ("escape",), "Stop the reply and keep what was written", "stop"),
    Key("chat", "select_tokens", ("f2", "ctrl+t"), "Walk over the tokens of the replies", "tokens", True),
    Key("chat", "pick", ("f3", "ctrl+o"), "Choose a model", "models", True),
    Key(
        "chat",
        "parameters",
        ("f4",),
        "All sampling values: temperature, top-p, top-k, seed and the others",
        "values",
        True,
    ),
    Key("chat", "toggle_panel", ("f6",), "Show or hide the next-token panel", "panel", True),
    Key("chat", "conversations", ("f9",), "Earlier conversations", "history", True),
    Key("chat", "new", ("ctrl+n",), "Begin a new conversation", "new", True),
    Key(
        "chat",
        "regenerate",
        ("ctrl+r",),
        "Another reply to the last message, beside the first",
        "again",
        True,
    ),
    Key("chat", "sibling(-1)", ("alt+left",), "The reply before, of several to the same message", "", True),
    Key("chat", "sibling(1)", ("alt+right",), "The reply after", "", True),
    Key("chat", "fold", ("ctrl+g",), "Unfold or fold the thinking of the replies", "", True),
    Key("chat", "page(-1)", ("pageup",), "Scroll up", "", True),
    Key("chat", "page(1)", ("pagedown",), "Scroll down", "", True),
    Key("chat", "top", ("ctrl+home",), "To the beginning of the conversation", "", True),
    Key("chat", "bottom", ("ctrl+end",), "To its end, and follow it", "", True),
    Key("chat", "copy_text", ("ctrl+c",), "Copy what was selected with the mouse"),
    Key("message", "send", ("enter",), "Send"),
    Key("message", "newline", ("ctrl+j", "shift+enter", "alt+enter"), "A new line"),
    Key("message", "older", ("up",), "On the first line: the message before"),
    Key("message", "newer", ("down",), "On the last line: the message after"),
    Key("tokens", "step(-1)", ("left",), "The token before", "before"),
    Key("tokens", "step(1)", ("right",), "The token after", "after"),
    Key("tokens", "line(-1)", ("up",), "A line up, into the reply before", ""),
    Key("tokens", "line(1)", ("down",), "A line down, into the reply after", ""),
    Key("tokens", "edge(-1)", ("home",), "The first token of the reply", ""),
    Key("tokens", "leave", ("escape", "end", "enter"), "Follow the newest token again", "follow again"),
    Key("picker", "choose", ("enter",), "Load this model; one not on this machine is fetched first", "load"),
    Key("picker", "cancel_fetch", ("c",), "Cancel the download", "cancel download"),
    Key("picker", "rescan", ("r",), "Look again", "look again"),
    Key("picker", "back", ("escape",), "Back to the chat", "back"),
    Key("parameters", "move(-1)", ("up",), "The value before"),
    Key("parameters", "move(1)", ("down",), "The value after"),
    Key("parameters", "turn(-1)", ("left", "minus"), "Less", "less"),
    Key("parameters", "turn(1)", ("right", "plus"), "More", "more"),
    Key("parameters", "neutral", ("delete",), "Switch it off; for the seed: a new one for each reply", "off"),
    Key("parameters", "reset", ("r",), "Back to what the model starts with", "model's own"),
    Key("parameters", "back", ("escape", "f4"), "Back to the chat", "back"),
    Key("conversations", "back", ("escape", "f9"), "Back to the chat", "back"),
)

NAMES = {
    "escape": "esc",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "delete": "del",
    "minus": "-",
    "plus": "+",
}


def name(key: str) -> str:
    """A key as people call it: `alt+↑`, `F1`, `ctrl+n`."""
    *modifiers, last = key.split("+")
    shown = NAMES.get(last, last.upper() if last[0] == "f" and last[1:].isdigit() else last)
    return "+".join([*modifiers, shown])


def of(scope: Scope) -> Iterator[Key]:
    """The keys of a scope."""
    return (key for key in KEYS if key.scope == scope)


def bindings(scope: Scope) -> list[BindingType]:
    """Textual's bindings for a scope."""
    return [
        Binding(
            ",".join(key.keys),
            key.action,
            key.says,
            show=bool(key.hint),
            key_display=name(key.keys[0]),
            priority=key.priority,
            id=f"{key.scope}.{key.action}",
        )
        for key in of(scope)
    ]


def table() -> str:
    """The keys as Markdown, for the documentation."""
    parts = []
    for scope, title in SCOPES.items():
        rows = [f"| {' or '.join(f'`{name(k)}`' for k in key.keys)} | {key.says} |" for key in of(scope)]
        parts.append("\n".join([f"## {title}", "", "| key | what it does |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(table(), end="")
