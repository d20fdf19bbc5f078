"""What a key is: an action, the keys for it, and the place where they mean it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from chatterm.language import mark

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
    "window",
    "raw",
    "system_prompt",
    "presets",
    "editing",
    "asking",
    "rank_plot",
    "compare",
    "models",
    "acts",
    "repository",
    "selfcheck",
    "help",
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
    "window": mark("The context window"),
    "raw": mark("What exactly the model sees"),
    "system_prompt": mark("The system prompt"),
    "presets": mark("Presets"),
    "editing": mark("Other words for a message"),
    "asking": mark("Writing words"),
    "rank_plot": mark("Probability against rank"),
    "compare": mark("Clean and edited side by side"),
    "models": mark("Two models side by side"),
    "acts": mark("About a model"),
    "repository": mark("A repository of the hub"),
    "selfcheck": mark("Self-check"),
    "help": mark("Help"),
}

ABOUT: dict[Scope, str] = {
    "continuations": mark(
        "Short continuations from one token, each with the next seed; one can be gone on with."
    ),
    "picker": mark("The models on this machine and those that can be downloaded; typing filters them."),
    "parameters": mark("What tokens are drawn with. It holds from the very next token on."),
    "tree": mark("Every message of the conversation with all its versions; nothing was overwritten."),
    "settings": mark("Everything that config.toml can say; what is changed here is written to it."),
    "window": mark(
        "What fills the window, message by message. What is switched off stays in the conversation, marked; "
        "the model no longer reads it."
    ),
    "raw": mark(
        "The text that the template makes of the conversation. Edited, it is answered exactly as it stands."
    ),
    "system_prompt": mark("What stands in front of this conversation and is saved with it."),
    "presets": mark("System prompts with sampling values, under names."),
    "editing": mark("The conversation goes on from the new words; what was said stays beside them."),
    "asking": mark("A line or two to be filled in."),
    "rank_plot": mark(
        "The probability of every token by its rank, both axes logarithmic: the line is the model's own, "
        "bright dots are what the sampler made of it."
    ),
    "compare": mark(
        "The model as it is on the left, with your edits on the right, from the same place with the same "
        "seed; below, token by token, how far apart they were."
    ),
    "models": mark(
        "Both answer the last message with the same seed and sampling values. Colours are surprise, each "
        "under its own model; the first token that differs stands out."
    ),
    "acts": mark("What is known of it, and what can be done with it."),
    "repository": mark(
        "What a repository of the hub offers: each checkpoint with its size before it is fetched."
    ),
    "selfcheck": mark("What must hold inside the loaded model, and by how much it does not."),
}
"""What a screen over the chat is for, in a sentence or two."""


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
