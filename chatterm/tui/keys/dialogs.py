"""The keys of the screens that lie over the chat."""

from __future__ import annotations

from chatterm.language import mark
from chatterm.tui.keys.key import Key

DIALOGS: tuple[Key, ...] = (
    Key("continuations", "move(-1)", ("up", "left"), mark("The continuation before")),
    Key("continuations", "move(1)", ("down", "right"), mark("The continuation after")),
    Key(
        "continuations", "adopt", ("enter",), mark("Go on with this one, as a branch"), mark("go on with it")
    ),
    Key("continuations", "more", ("plus", "equals_sign"), mark("One more"), mark("one more")),
    Key("continuations", "fewer", ("minus",), mark("One fewer"), mark("one fewer")),
    Key("continuations", "again", ("r",), mark("Draw others, with the next seeds"), mark("others")),
    Key("continuations", "back", ("escape",), mark("Back to the chat"), mark("back")),
    Key("picker", "move(-1)", ("up",), mark("The model before")),
    Key("picker", "move(1)", ("down",), mark("The model after")),
    Key("picker", "page(-1)", ("pageup",), mark("A page up")),
    Key("picker", "page(1)", ("pagedown",), mark("A page down")),
    Key(
        "picker",
        "choose",
        ("enter",),
        mark("Load this model; of one not on this machine: size and licence, then download"),
        mark("load"),
    ),
    Key("picker", "acts", ("f2",), mark("All about it: verify, unload, delete, pause, resume"), mark("more")),
    Key("picker", "hub", ("tab",), mark("Search the hub for what was typed"), mark("search"), True),
    Key("picker", "delete", ("delete",), mark("Delete it; asks first"), mark("delete"), True),
    Key("picker", "rescan", ("ctrl+r",), mark("Look again"), mark("look again")),
    Key("picker", "cancel_fetch", ("ctrl+x",), mark("Cancel the loading"), mark("cancel"), True),
    Key("picker", "back", ("escape",), mark("Take back what was typed; then back to the chat"), mark("back")),
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
