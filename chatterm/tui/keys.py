"""Every key of the program, once: bindings, the help screen and `docs/keys.md` are made from this table.

A user's own keys (`use`) take the place of the table's in all that is shown; `keymap` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from textual.binding import Binding, BindingType

from chatterm.language import _, mark

Scope = Literal[
    "anywhere",
    "chat",
    "message",
    "attachments",
    "messages",
    "tokens",
    "candidates",
    "continuations",
    "glass",
    "picker",
    "parameters",
    "conversations",
    "tree",
    "settings",
]

SCOPES: dict[Scope, str] = {
    "anywhere": mark("Everywhere"),
    "chat": mark("In the chat"),
    "message": mark("Writing a message"),
    "attachments": mark("What goes along with the message"),
    "messages": mark("A chosen message"),
    "tokens": mark("Walking over tokens"),
    "candidates": mark("Choosing another token"),
    "continuations": mark("Several continuations"),
    "glass": mark("Looking inside the model (in the panel)"),
    "picker": mark("Choosing a model"),
    "parameters": mark("Sampling values"),
    "conversations": mark("The list of conversations"),
    "tree": mark("The tree of the conversation"),
    "settings": mark("Settings"),
}


class Key(NamedTuple):
    """One action and the keys for it, the best one first; `hint` is its short name in the bottom line."""

    scope: Scope
    action: str
    keys: tuple[str, ...]
    says: str
    hint: str = ""
    priority: bool = False

    @property
    def id(self) -> str:
        """How the settings call the action: `chat.hotter`."""
        return f"{self.scope}.{self.action}"


KEYS: tuple[Key, ...] = (
    Key("anywhere", "app.help", ("f1",), mark("These keys"), mark("keys"), True),
    Key("anywhere", "app.command_palette", ("ctrl+p",), mark("Everything, to be searched by name"), "", True),
    Key("anywhere", "app.quit", ("ctrl+q",), mark("Leave; everything is saved"), "", True),
    Key("chat", "hotter", ("alt+up", "ctrl+up", "f8"), mark("Temperature up by 0.05"), "", True),
    Key("chat", "colder", ("alt+down", "ctrl+down", "f7"), mark("Temperature down by 0.05"), "", True),
    Key("chat", "stop", ("escape",), mark("Stop the reply and keep what was written"), mark("stop")),
    Key(
        "chat",
        "select_tokens",
        ("f2", "ctrl+t"),
        mark("Walk over the tokens of the conversation"),
        mark("tokens"),
        True,
    ),
    Key("chat", "pick", ("f3", "ctrl+o"), mark("Choose a model"), mark("models"), True),
    Key(
        "chat",
        "parameters",
        ("f4",),
        mark("All sampling values: temperature, top-p, top-k, seed and the others"),
        mark("values"),
        True,
    ),
    Key("chat", "toggle_panel", ("f6",), mark("Show or hide the next-token panel"), mark("panel"), True),
    Key(
        "chat",
        "view(1)",
        ("f5",),
        mark("The next view of the panel: lens, attention and others"),
        mark("view"),
        True,
    ),
    Key("chat", "view(-1)", ("shift+f5",), mark("The view before"), "", True),
    Key("chat", "open_view('next')", ("alt+1",), mark("View: next token"), "", True),
    Key("chat", "open_view('lens')", ("alt+2",), mark("View: lens, the guess after every block"), "", True),
    Key(
        "chat",
        "open_view('attention')",
        ("alt+3",),
        mark("View: attention, where every head looks"),
        "",
        True,
    ),
    Key(
        "chat",
        "open_view('contributions')",
        ("alt+4",),
        mark("View: what pushed the token's logit"),
        "",
        True,
    ),
    Key("chat", "open_view('neurons')", ("alt+5",), mark("View: the strongest neurons"), "", True),
    Key(
        "chat",
        "open_view('embeddings')",
        ("alt+6",),
        mark("View: neighbours, analogies, map of words"),
        "",
        True,
    ),
    Key(
        "chat", "open_view('edits')", ("alt+7",), mark("View: edits, parts switched off or scaled"), "", True
    ),
    Key(
        "chat",
        "enter_panel",
        ("f12", "alt+i"),
        mark("Keys to the panel, and back to the message"),
        mark("into"),
        True,
    ),
    Key("chat", "maximise", ("f10", "alt+0"), mark("The panel over the whole screen, and back"), "", True),
    Key(
        "chat",
        "colour",
        ("alt+s",),
        mark("Colour tokens by how surprising they were, by the model's doubt (entropy), by rank, or not"),
        "",
        True,
    ),
    Key(
        "chat",
        "context",
        ("ctrl+l",),
        mark("Show the tokens that the model reads, template and all"),
        "",
        True,
    ),
    Key("chat", "continuations", ("alt+c",), mark("Several continuations from the selected token"), "", True),
    Key("chat", "window", ("alt+a",), mark("What fills the context window, and what to leave out"), "", True),
    Key("chat", "raw", ("alt+r",), mark("What exactly the model sees, to be read and edited"), "", True),
    Key("chat", "edit_system_prompt", ("alt+e",), mark("The system prompt of this conversation"), "", True),
    Key("chat", "presets", ("alt+u",), mark("Presets: system prompts with sampling values"), "", True),
    Key("chat", "rank_plot", ("alt+p",), mark("Probability against rank at the selected token"), "", True),
    Key("chat", "conversations", ("f9", "alt+h"), mark("The list of conversations"), mark("history"), True),
    Key("chat", "find", ("alt+q",), mark("Search all conversations"), "", True),
    Key(
        "chat",
        "choose_message",
        ("alt+m",),
        mark("Choose a message, to do something with it"),
        mark("message"),
        True,
    ),
    Key("chat", "tree", ("alt+t",), mark("The whole conversation as a tree"), mark("tree"), True),
    Key("chat", "copy_reply", ("alt+y",), mark("Copy the last reply as Markdown"), "", True),
    Key(
        "chat", "copy_code", ("alt+k",), mark("Copy the last block of code; again: the one before"), "", True
    ),
    Key("chat", "move_panel", ("alt+d",), mark("The panel to the bottom, or back to the right"), "", True),
    Key("chat", "resize_panel(1)", ("alt+w",), mark("A larger panel; its edge can be dragged too"), "", True),
    Key("chat", "resize_panel(-1)", ("alt+n",), mark("A smaller panel"), "", True),
    Key(
        "chat", "settings", ("f11", "alt+o"), mark("Settings: theme, language, keys and all others"), "", True
    ),
    Key("chat", "new", ("ctrl+n",), mark("Begin a new conversation"), mark("new"), True),
    Key(
        "chat",
        "regenerate",
        ("ctrl+r",),
        mark("Another reply to the last message, beside the first"),
        mark("again"),
        True,
    ),
    Key(
        "chat",
        "sibling(-1)",
        ("alt+left",),
        mark("The reply before, of several to the same message"),
        "",
        True,
    ),
    Key("chat", "sibling(1)", ("alt+right",), mark("The reply after"), "", True),
    Key("chat", "fold", ("ctrl+g",), mark("Unfold or fold the thinking of the replies"), "", True),
    Key("chat", "page(-1)", ("pageup",), mark("Scroll up"), "", True),
    Key("chat", "page(1)", ("pagedown",), mark("Scroll down"), "", True),
    Key("chat", "top", ("ctrl+home",), mark("To the beginning of the conversation"), "", True),
    Key("chat", "bottom", ("ctrl+end",), mark("To its end, and follow it"), "", True),
    Key("chat", "copy_text", ("ctrl+c",), mark("Copy what was selected with the mouse")),
    Key("message", "send", ("enter",), mark("Send")),
    Key("message", "screen.edit_outside", ("ctrl+e",), mark("Write it in your own editor ($EDITOR)")),
    Key("message", "newline", ("ctrl+j", "shift+enter", "alt+enter"), mark("A new line")),
    Key("message", "older", ("up",), mark("On the first line: the message before")),
    Key("message", "newer", ("down",), mark("On the last line: the message after")),
    Key("attachments", "move(-1)", ("left",), mark("The attachment before")),
    Key("attachments", "move(1)", ("right",), mark("The attachment after")),
    Key("attachments", "unfold", ("enter",), mark("Put its text into the message")),
    Key("attachments", "remove", ("delete", "backspace"), mark("Take it away")),
    Key("messages", "screen.walk_messages(-1)", ("up",), mark("The message before")),
    Key("messages", "screen.walk_messages(1)", ("down",), mark("The message after")),
    Key("messages", "screen.other_version(-1)", ("left",), mark("Its version before")),
    Key("messages", "screen.other_version(1)", ("right",), mark("Its version after")),
    Key(
        "messages",
        "screen.edit_message",
        ("e",),
        mark("Edit it and go on from there; what was said stays beside it"),
        mark("edit"),
    ),
    Key(
        "messages",
        "screen.continue_message",
        ("c",),
        mark("Let the reply go on where it ended"),
        mark("continue"),
    ),
    Key(
        "messages",
        "screen.answer_anew",
        ("r",),
        mark("Another reply here, beside this one"),
        mark("regenerate"),
    ),
    Key("messages", "screen.copy_message", ("y",), mark("Copy it as Markdown"), mark("copy")),
    Key("messages", "screen.copy_plain", ("t",), mark("Copy it as plain text"), mark("as text")),
    Key("messages", "screen.copy_code", ("k",), mark("Copy its code; again: the block before"), mark("code")),
    Key("messages", "screen.leave_messages", ("escape", "end"), mark("Back to writing"), mark("back")),
    Key("tokens", "step(-1)", ("left",), mark("The token before"), mark("before")),
    Key("tokens", "step(1)", ("right",), mark("The token after"), mark("after")),
    Key("tokens", "line(-1)", ("up",), mark("A line up, into the message before"), ""),
    Key("tokens", "line(1)", ("down",), mark("A line down, into the message after"), ""),
    Key("tokens", "edge(-1)", ("home",), mark("The first token of the message"), ""),
    Key(
        "tokens",
        "candidates",
        ("enter", "tab"),
        mark("Over to the candidates: choose another token"),
        mark("choose"),
    ),
    Key("tokens", "leave", ("escape", "end"), mark("Follow the newest token again"), mark("follow again")),
    Key("candidates", "cursor(-1)", ("up",), mark("The candidate before"), ""),
    Key("candidates", "cursor(1)", ("down",), mark("The candidate after; further down more are shown"), ""),
    Key("candidates", "cursor_home", ("home",), mark("The most probable candidate"), ""),
    Key("candidates", "token(-1)", ("left",), mark("Look at the token before"), ""),
    Key("candidates", "token(1)", ("right",), mark("Look at the token after"), ""),
    Key(
        "candidates",
        "fork",
        ("enter",),
        mark("Go on from this candidate; the old reply stays beside the new one"),
        mark("go on from it"),
    ),
    Key("candidates", "write", ("w",), mark("Go on from words of your own"), mark("own words")),
    Key("candidates", "find", ("slash",), mark("Find the rank of a word"), mark("find")),
    Key(
        "candidates", "screen.continuations", ("c",), mark("Several continuations from here"), mark("several")
    ),
    Key("candidates", "screen.rank_plot", ("p",), mark("Probability against rank"), mark("plot")),
    Key("candidates", "back", ("escape", "tab"), mark("Back to the words"), mark("back")),
    Key("continuations", "move(-1)", ("up", "left"), mark("The continuation before")),
    Key("continuations", "move(1)", ("down", "right"), mark("The continuation after")),
    Key(
        "continuations", "adopt", ("enter",), mark("Go on with this one, as a branch"), mark("go on with it")
    ),
    Key("continuations", "more", ("plus", "equals_sign"), mark("One more"), mark("one more")),
    Key("continuations", "fewer", ("minus",), mark("One fewer"), mark("one fewer")),
    Key("continuations", "again", ("r",), mark("Draw others, with the next seeds"), mark("others")),
    Key("continuations", "back", ("escape",), mark("Back to the chat"), mark("back")),
    Key("glass", "move(-1, 0)", ("up",), mark("Up")),
    Key("glass", "move(1, 0)", ("down",), mark("Down")),
    Key("glass", "move(0, -1)", ("left",), mark("Left; neurons and neighbours: a layer less; edits: weaker")),
    Key(
        "glass",
        "move(0, 1)",
        ("right",),
        mark("Right; neurons and neighbours: a layer more; edits: stronger"),
    ),
    Key("glass", "step(-1)", ("left_square_bracket",), mark("Look at the token before")),
    Key("glass", "step(1)", ("right_square_bracket",), mark("Look at the token after")),
    Key("glass", "off", ("o",), mark("Switch the block, head or neuron under the cursor off, or on again")),
    Key("glass", "off_mlp", ("f",), mark("Lens: switch the block's feed-forward layer off, or on again")),
    Key("glass", "grid", ("g",), mark("Lens: several positions side by side")),
    Key(
        "glass", "measure", ("m",), mark("Attention: entropy, strongest weight, or weight on a chosen token")
    ),
    Key("glass", "choose(-1)", ("comma",), mark("Attention: the chosen token one earlier")),
    Key("glass", "choose(1)", ("full_stop",), mark("Attention: the chosen token one later")),
    Key("glass", "map", ("h",), mark("Attention: the head's map of token × token")),
    Key("glass", "patterns", ("p",), mark("Attention: small maps of all heads of the layer")),
    Key("glass", "order", ("s",), mark("Contributions: by size or by layer")),
    Key("glass", "against", ("r",), mark("Contributions: against the runner-up, or the token alone")),
    Key("glass", "name_token", ("t",), mark("Contributions: against a token that you type")),
    Key("glass", "word", ("w",), mark("Embeddings: the neighbours of a word that you type")),
    Key("glass", "analogy", ("a",), mark("Embeddings: a − b + c")),
    Key("glass", "list_words", ("l",), mark("Embeddings: the words of the map")),
    Key("glass", "add", ("n",), mark("Edits: a new one")),
    Key("glass", "steer", ("d",), mark("Edits: a steering direction from two texts")),
    Key("glass", "flip", ("space",), mark("Edits: this one off or on")),
    Key("glass", "remove", ("delete", "backspace"), mark("Edits: take this one out of the list")),
    Key("glass", "all_off", ("x",), mark("Edits: all off, the model as it is")),
    Key("glass", "compare", ("c",), mark("Edits: write on from here, clean and edited side by side")),
    Key("glass", "leave", ("escape",), mark("Back to the message"), mark("back")),
    Key(
        "picker",
        "choose",
        ("enter",),
        mark("Load this model; one not on this machine is fetched first"),
        mark("load"),
    ),
    Key("picker", "cancel_fetch", ("c",), mark("Cancel the download"), mark("cancel download")),
    Key("picker", "rescan", ("r",), mark("Look again"), mark("look again")),
    Key("picker", "back", ("escape",), mark("Back to the chat"), mark("back")),
    Key("parameters", "move(-1)", ("up",), mark("The value before")),
    Key("parameters", "move(1)", ("down",), mark("The value after")),
    Key("parameters", "turn(-1)", ("left", "minus"), mark("Less"), mark("less")),
    Key("parameters", "turn(1)", ("right", "plus"), mark("More"), mark("more")),
    Key(
        "parameters",
        "neutral",
        ("delete",),
        mark("Switch it off; for the seed: a new one for each reply"),
        mark("off"),
    ),
    Key("parameters", "reset", ("r",), mark("Back to what the model starts with"), mark("model's own")),
    Key("parameters", "back", ("escape", "f4"), mark("Back to the chat"), mark("back")),
    Key("conversations", "move(-1)", ("up",), mark("The conversation before")),
    Key("conversations", "move(1)", ("down",), mark("The conversation after")),
    Key("conversations", "edge(-1)", ("home",), mark("The first one")),
    Key("conversations", "edge(1)", ("end",), mark("The last one that is loaded")),
    Key("conversations", "choose", ("enter",), mark("Go on with it; a hit: at that message"), mark("open")),
    Key("conversations", "screen.find", ("slash",), mark("Search all conversations"), mark("search")),
    Key("conversations", "screen.rename", ("r",), mark("Give it another title"), mark("rename")),
    Key("conversations", "screen.pin", ("p",), mark("Keep it at the top, or no longer"), mark("pin")),
    Key("conversations", "screen.delete", ("d", "delete"), mark("Delete it"), mark("delete")),
    Key("conversations", "screen.undo", ("u",), mark("Bring back what was deleted last"), mark("undo")),
    Key("conversations", "screen.new", ("n",), mark("Begin a new conversation"), mark("new one")),
    Key("conversations", "screen.leave_sidebar", ("escape",), mark("Back to the chat"), mark("back")),
    Key("tree", "move(-1)", ("up",), mark("The message before")),
    Key("tree", "move(1)", ("down",), mark("The message after")),
    Key("tree", "sibling(-1)", ("left",), mark("The version before, of the same message")),
    Key("tree", "sibling(1)", ("right",), mark("The version after")),
    Key("tree", "edge(-1)", ("home",), mark("To the beginning")),
    Key("tree", "edge(1)", ("end",), mark("To the end")),
    Key("tree", "choose", ("enter",), mark("Go on with the conversation through this message")),
    Key("tree", "back", ("escape", "alt+t"), mark("Back to the chat"), mark("back")),
    Key("settings", "turn(-1)", ("left",), mark("The value before, of several")),
    Key("settings", "turn(1)", ("right",), mark("The value after")),
    Key("settings", "default", ("delete",), mark("Back to the default")),
    Key("settings", "search", ("slash",), mark("Search")),
    Key("settings", "open_file", ("o",), mark("Open config.toml in your editor ($EDITOR)")),
    Key("settings", "back", ("escape", "f11"), mark("Back to the chat"), mark("back")),
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


if __name__ == "__main__":
    print(table(), end="")
