"""The user's own keys: `[keys]` of the settings, checked against the table of keys.

    [keys]
    "chat.hotter" = "ctrl+y"
    "chat.sibling(1)" = ["alt+n", "f11"]

Whatever cannot be used is said in a sentence, and its action keeps its keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from textual.keys import KEY_NAME_REPLACEMENTS, Keys, key_to_character

from chatterm import inert
from chatterm.language import _
from chatterm.tui import keys

MAX_KEYS = 8
"""Keys that one action can have."""

_MODIFIERS = ("ctrl", "alt", "shift", "super", "meta", "hyper")
_NAMED = {key.value for key in Keys} | set(KEY_NAME_REPLACEMENTS.values()) | set(keys.NAMES)
_SPELLINGS = {"esc": "escape", "return": "enter", "del": "delete", "pgup": "pageup", "pgdn": "pagedown"}


class Keymap(NamedTuple):
    """What of the user's wishes can be done: action id → keys; and a sentence for each that cannot."""

    own: dict[str, tuple[str, ...]]
    complaints: tuple[str, ...]


def read(wishes: Mapping[str, Any]) -> Keymap:
    """Check the table `[keys]`."""
    table = {key.id: key for key in keys.KEYS}
    own: dict[str, tuple[str, ...]] = {}
    complaints = []
    for action, wish in _flat(wishes).items():
        names = wish if isinstance(wish, list | tuple) else [wish]
        shown = inert.line(action)[:80]
        if action not in table:
            complaints.append(_("There is no action {action}; docs/keys.md lists them.").format(action=shown))
        elif not 0 < len(names) <= MAX_KEYS or not all(isinstance(name, str) for name in names):
            complaints.append(
                _("The keys of {action} must be one text or a list of texts.").format(action=shown)
            )
        elif (bad := next((name for name in names if canonical(name) is None), None)) is not None:
            complaints.append(
                _("{key} is no key, so {action} keeps its own.").format(
                    key=inert.line(bad)[:40] or "“”", action=shown
                )
            )
        else:
            own[action] = tuple(dict.fromkeys(key for name in names if (key := canonical(name))))
    return Keymap(own, (*complaints, *_settle(own)))


def canonical(name: str) -> str | None:
    """Textual's name of a key, or None if it is none: `?` → `question_mark`, `Ctrl+K` → `ctrl+k`."""
    *modifiers, last = [*name[:-2].split("+"), "plus"] if name.endswith("++") else name.split("+")
    modifiers = [modifier.strip().lower() for modifier in modifiers]
    if any(modifier not in _MODIFIERS for modifier in modifiers) or not last:
        return None
    if len(last) == 1:
        return "+".join([*modifiers, _named(last.lower() if modifiers else last)])
    last = _SPELLINGS.get(last.lower(), last.lower())
    if last in _NAMED or key_to_character(last) is not None:
        return "+".join([*modifiers, last])
    return None


def _named(character: str) -> str:
    if character.isalnum():
        return character
    import unicodedata

    name = unicodedata.name(character, character).lower().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(name, name)


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`chat.hotter = "f7"` without quotes is a table in a table."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _settle(own: dict[str, tuple[str, ...]]) -> list[str]:
    """Take wishes out until no key means two things in one place."""
    complaints = []
    while clash := _clash(own):
        wished, other, key = clash
        del own[wished.id]
        complaints.append(
            _("{key} cannot be {action}: it is {other} already.").format(
                key=keys.name(key), action=wished.id, other=other.id
            )
        )
    return complaints


def _clash(own: Mapping[str, tuple[str, ...]]) -> tuple[keys.Key, keys.Key, str] | None:
    """The latest wish that takes a key of another action, that action, and the key."""
    order = list(own)
    for action in reversed(order):
        wished = next(key for key in keys.KEYS if key.id == action)
        for other in keys.KEYS:
            if other.id == action or not _meet(wished, other):
                continue
            for key in own[action]:
                if key in own.get(other.id, other.keys):
                    return wished, other, key
    return None


def _meet(one: keys.Key, other: keys.Key) -> bool:
    """Whether both are looked for at the same time: in one place, or one of them before all others there."""
    if one.scope == other.scope or "anywhere" in (one.scope, other.scope):
        return True
    over_chat = {"message", "tokens", "candidates", "glass"}
    for chat, inner in ((one, other), (other, one)):
        if chat.scope == "chat" and inner.scope in over_chat and chat.priority:
            return True
    return False
