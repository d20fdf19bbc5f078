"""A plain dialogue: how a base model, which has no chat template, is made to chat.

A text that reads like a conversation with a helpful assistant is continued; the reply ends where the model
begins to write the user's next line.
"""

from __future__ import annotations

from collections.abc import Sequence

from chatterm.checkpoint.template.messages import ChatMessage, Rendered

OPENING = (
    "The following is a conversation between a user and a helpful assistant. "
    "The assistant's answers are honest, clear and to the point."
)
_SPEAKERS = {"user": "User", "assistant": "Assistant"}


class PlainDialogue:
    """Stands where a chat template would; see the module.

    Attributes:
        stop: the texts at which a reply ends.
        notices: sentences for the user about what is odd; none.
    """

    is_chat = False
    source = "plain dialogue"
    notices: tuple[str, ...] = ()
    stop: tuple[str, ...] = ("\nUser:", "\nAssistant:", "\n\nUser", "\n\nAssistant")

    def render(self, messages: Sequence[ChatMessage], *, continue_reply: bool = False) -> Rendered:
        """The conversation as text; the system prompt, if there is one, opens it.

        With `continue_reply` the last message is a partial reply, and the text ends where it ends.
        """
        opening = [message.content.strip() for message in messages if message.role == "system"]
        lines = ["\n\n".join(filter(None, opening)) or OPENING]
        turns = [message for message in messages if message.role != "system"]
        partial = turns.pop().content if continue_reply and turns else None
        lines += [
            f"{_SPEAKERS.get(turn.role, turn.role.capitalize())}: {turn.content.strip()}" for turn in turns
        ]
        text = "\n\n".join([*lines, "Assistant:"])
        return Rendered(text if partial is None else f"{text} {partial.lstrip()}")
