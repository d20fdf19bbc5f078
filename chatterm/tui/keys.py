"""Every key of the program, once: bindings, the help screen and `docs/keys.md` are made from this table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from textual.binding import Binding, BindingType

Scope = Literal[
    "anywhere",
    "chat",
    "message",
    "tokens",
    "candidates",
    "continuations",
    "glass",
    "picker",
    "parameters",
    "conversations",
]

SCOPES: dict[Scope, str] = {
    "anywhere": "Everywhere",
    "chat": "In the chat",
    "message": "Writing a message",
    "tokens": "Walking over tokens",
    "candidates": "Choosing another token",
    "continuations": "Several continuations",
    "glass": "Looking inside the model (in the panel)",
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
    Key(
        "chat", "select_tokens", ("f2", "ctrl+t"), "Walk over the tokens of the conversation", "tokens", True
    ),
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
    Key("chat", "view(1)", ("f5",), "The next view of the panel: lens, attention and others", "view", True),
    Key("chat", "view(-1)", ("shift+f5",), "The view before", "", True),
    Key("chat", "open_view('next')", ("alt+1",), "View: next token", "", True),
    Key("chat", "open_view('lens')", ("alt+2",), "View: lens, the guess after every block", "", True),
    Key("chat", "open_view('attention')", ("alt+3",), "View: attention, where every head looks", "", True),
    Key("chat", "open_view('contributions')", ("alt+4",), "View: what pushed the token's logit", "", True),
    Key("chat", "open_view('neurons')", ("alt+5",), "View: the strongest neurons", "", True),
    Key("chat", "open_view('embeddings')", ("alt+6",), "View: neighbours, analogies, map of words", "", True),
    Key("chat", "open_view('edits')", ("alt+7",), "View: edits, parts switched off or scaled", "", True),
    Key("chat", "enter_panel", ("f12", "alt+i"), "Keys to the panel, and back to the message", "into", True),
    Key("chat", "maximise", ("f10", "alt+0"), "The panel over the whole screen, and back", "", True),
    Key(
        "chat",
        "colour",
        ("alt+s",),
        "Colour tokens by how surprising they were, by the model's doubt (entropy), by rank, or not at all",
        "",
        True,
    ),
    Key("chat", "context", ("ctrl+l",), "Show the tokens that the model reads, template and all", "", True),
    Key("chat", "continuations", ("alt+c",), "Several continuations from the selected token", "", True),
    Key("chat", "rank_plot", ("alt+p",), "Probability against rank at the selected token", "", True),
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
    Key("tokens", "line(-1)", ("up",), "A line up, into the message before", ""),
    Key("tokens", "line(1)", ("down",), "A line down, into the message after", ""),
    Key("tokens", "edge(-1)", ("home",), "The first token of the message", ""),
    Key("tokens", "candidates", ("enter", "tab"), "Over to the candidates: choose another token", "choose"),
    Key("tokens", "leave", ("escape", "end"), "Follow the newest token again", "follow again"),
    Key("candidates", "cursor(-1)", ("up",), "The candidate before", ""),
    Key("candidates", "cursor(1)", ("down",), "The candidate after; further down more are shown", ""),
    Key("candidates", "cursor_home", ("home",), "The most probable candidate", ""),
    Key("candidates", "token(-1)", ("left",), "Look at the token before", ""),
    Key("candidates", "token(1)", ("right",), "Look at the token after", ""),
    Key(
        "candidates",
        "fork",
        ("enter",),
        "Go on from this candidate; the old reply stays beside the new one",
        "go on from it",
    ),
    Key("candidates", "write", ("w",), "Go on from words of your own", "own words"),
    Key("candidates", "find", ("slash",), "Find the rank of a word", "find"),
    Key("candidates", "screen.continuations", ("c",), "Several continuations from here", "several"),
    Key("candidates", "screen.rank_plot", ("p",), "Probability against rank", "plot"),
    Key("candidates", "back", ("escape", "tab"), "Back to the words", "back"),
    Key("continuations", "move(-1)", ("up", "left"), "The continuation before"),
    Key("continuations", "move(1)", ("down", "right"), "The continuation after"),
    Key("continuations", "adopt", ("enter",), "Go on with this one, as a branch", "go on with it"),
    Key("continuations", "more", ("plus", "equals_sign"), "One more", "one more"),
    Key("continuations", "fewer", ("minus",), "One fewer", "one fewer"),
    Key("continuations", "again", ("r",), "Draw others, with the next seeds", "others"),
    Key("continuations", "back", ("escape",), "Back to the chat", "back"),
    Key("glass", "move(-1, 0)", ("up",), "Up"),
    Key("glass", "move(1, 0)", ("down",), "Down"),
    Key("glass", "move(0, -1)", ("left",), "Left; neurons and neighbours: a layer less; edits: weaker"),
    Key("glass", "move(0, 1)", ("right",), "Right; neurons and neighbours: a layer more; edits: stronger"),
    Key("glass", "step(-1)", ("left_square_bracket",), "Look at the token before"),
    Key("glass", "step(1)", ("right_square_bracket",), "Look at the token after"),
    Key("glass", "off", ("o",), "Switch the block, head or neuron under the cursor off, or on again"),
    Key("glass", "off_mlp", ("f",), "Lens: switch the block's feed-forward layer off, or on again"),
    Key("glass", "grid", ("g",), "Lens: several positions side by side"),
    Key("glass", "measure", ("m",), "Attention: entropy, strongest weight, or weight on a chosen token"),
    Key("glass", "choose(-1)", ("comma",), "Attention: the chosen token one earlier"),
    Key("glass", "choose(1)", ("full_stop",), "Attention: the chosen token one later"),
    Key("glass", "map", ("h",), "Attention: the head's map of token × token"),
    Key("glass", "patterns", ("p",), "Attention: small maps of all heads of the layer"),
    Key("glass", "order", ("s",), "Contributions: by size or by layer"),
    Key("glass", "against", ("r",), "Contributions: against the runner-up, or the token alone"),
    Key("glass", "name_token", ("t",), "Contributions: against a token that you type"),
    Key("glass", "word", ("w",), "Embeddings: the neighbours of a word that you type"),
    Key("glass", "analogy", ("a",), "Embeddings: a − b + c"),
    Key("glass", "list_words", ("l",), "Embeddings: the words of the map"),
    Key("glass", "add", ("n",), "Edits: a new one"),
    Key("glass", "steer", ("d",), "Edits: a steering direction from two texts"),
    Key("glass", "flip", ("space",), "Edits: this one off or on"),
    Key("glass", "remove", ("delete", "backspace"), "Edits: take this one out of the list"),
    Key("glass", "all_off", ("x",), "Edits: all off, the model as it is"),
    Key("glass", "compare", ("c",), "Edits: write on from here, clean and edited side by side"),
    Key("glass", "leave", ("escape",), "Back to the message", "back"),
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
