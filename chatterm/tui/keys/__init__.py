"""Every key of the program, once: bindings, the help screen and `docs/keys.md` are made from this table.

A user's own keys (`use`) take the place of the table's in all that is shown; `keymap` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from textual.binding import Binding, BindingType

from chatterm.language import _
from chatterm.tui.keys.chat import CHAT
from chatterm.tui.keys.dialogs import DIALOGS
from chatterm.tui.keys.inside import INSIDE
from chatterm.tui.keys.key import ABOUT, SCOPES, Key, Scope

__all__ = [
    "ABOUT",
    "KEYS",
    "NAMES",
    "SCOPES",
    "Key",
    "Scope",
    "bindings",
    "name",
    "of",
    "pressed",
    "table",
    "use",
]

KEYS: tuple[Key, ...] = (*CHAT, *INSIDE, *DIALOGS)

NAMES = {
    "escape": "esc",
    "question_mark": "?",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "delete": "del",
    "minus": "-",
    "plus": "+",
    "equals_sign": "=",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "comma": ",",
    "full_stop": ".",
}


def name(key: str) -> str:
    """A key as people call it: `alt+↑`, `F1`, `ctrl+n`."""
    *modifiers, last = key.split("+")
    shown = NAMES.get(last, last.upper() if last[0] == "f" and last[1:].isdigit() else last)
    return "+".join([*modifiers, shown])


_own: dict[str, tuple[str, ...]] = {}


def use(own: Mapping[str, tuple[str, ...]]) -> None:
    """From now on these are the keys of the actions with these ids."""
    _own.clear()
    _own.update(own)


def of(scope: Scope) -> Iterator[Key]:
    """The keys of a scope, the user's own in their places."""
    return (key._replace(keys=_own.get(key.id, key.keys)) for key in KEYS if key.scope == scope)


def pressed(scope: Scope, key: str) -> str | None:
    """The action of a key in a scope."""
    return next((entry.action for entry in of(scope) if key in entry.keys), None)


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
            id=key.id,
        )
        for key in KEYS
        if key.scope == scope
    ]


def table() -> str:
    """The keys as Markdown, for the documentation; the last column is for `[keys]` in `config.toml`."""
    parts = []
    for scope, title in SCOPES.items():
        rows = [
            f"| {' or '.join(f'`{name(k)}`' for k in key.keys)} | {_(key.says)} | `{key.id}` |"
            for key in of(scope)
        ]
        parts.append(
            "\n".join([f"## {_(title)}", "", "| key | what it does | action |", "|---|---|---|", *rows])
        )
    return "\n\n".join(parts) + "\n"
