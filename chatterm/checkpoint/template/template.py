"""A checkpoint's chat template: messages to the exact text that the model was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import jinja2
from jinja2 import meta

from chatterm.checkpoint.template.budget import BudgetError, rendering
from chatterm.checkpoint.template.folding import render_folding
from chatterm.checkpoint.template.manner import AS_TEXT, Manner, Parts, find_manner
from chatterm.checkpoint.template.messages import ChatMessage, Rendered, TemplateRefusedError, Turn
from chatterm.checkpoint.template.sandbox import ChatEnvironment
from chatterm.checkpoint.thinking import ThinkingMarkers
from chatterm.checkpoint.tokenizer.named import ROLES
from chatterm.errors import UserError

MOST_ADDED = 1 << 17
"""Characters that a template may write of its own; cutting a text into tokens takes memory for each."""

MOST_COPIES = 4
"""Times that it may write the messages."""

_WRITTEN_OUT = ("{'type': 'text'", '{"type": "text"')
"""A list of parts that was written out as it is."""

_TAG = "CONTINUE_FINAL_MESSAGE_TAG "
_ROLES = ("system", "user", "assistant")
_ENVIRONMENT = ChatEnvironment()


class ChatTemplate:
    """A Jinja chat template.

    Attributes:
        text: the template.
        source: the file or key that it comes from.
        names: the special tokens by role, as templates see them ("bos_token" …).
        thinking: the texts between which the model thinks, or None.
        stop: texts at which a reply ends, besides the end tokens; none for a template.
    """

    is_chat = True

    stop: tuple[str, ...] = ()

    def __init__(
        self,
        text: str,
        source: str,
        names: Mapping[str, str] | None = None,
        *,
        thinking: ThinkingMarkers | None = None,
    ) -> None:
        """Compiles the template.

        Raises:
            UserError: it is no valid template.
        """
        self.text = text
        self.source = source
        self.names = dict(names or {})
        self.thinking = thinking
        try:
            with rendering():
                self._template = _ENVIRONMENT.from_string(text)
        except Exception as error:  # the compiler of a language with untrusted input
            reason = str(error).rstrip(".") or "it is too complicated"
            raise UserError(f"The chat template in {source} cannot be read: {reason}.") from error

    @cached_property
    def notices(self) -> tuple[str, ...]:
        """Sentences for the user about what is odd in it: names of tokens that the checkpoint lacks."""
        variables = meta.find_undeclared_variables(_ENVIRONMENT.parse(self.text))
        unknown = sorted(name for name in variables.difference(self.names, ROLES) if name.endswith("_token"))
        if not unknown:
            return ()
        return (
            f"Its chat template writes {' and '.join(unknown)}, which the checkpoint does not name, so "
            "nothing stands in that place.",
        )

    @cached_property
    def manner(self) -> Manner:
        """How the template takes what is said, found out once.

        Raises:
            UserError: the template runs away.
        """
        with rendering():
            return find_manner(self)

    def render(self, messages: Sequence[ChatMessage], *, continue_reply: bool = False) -> Rendered:
        """The conversation as the model is to see it, ready for its reply.

        With `continue_reply` the last message is a partial reply, and the text ends where it ends. A system
        prompt or an order of turns that the template refuses is put in a form that it takes, with a notice.

        Raises:
            UserError: the template refuses the conversation however it is put, or runs away.
        """
        turns = [Turn(message.role, message.content) for message in messages]
        if not turns:
            raise UserError("There is no message to reply to.")
        _ = self.manner  # has a budget of its own
        with rendering():
            return render_folding(self, turns, continue_reply=continue_reply)

    def apply(
        self,
        turns: Sequence[Turn],
        *,
        continue_reply: bool = False,
        reply: bool = True,
        parts: Parts = AS_TEXT,
    ) -> str:
        """The conversation exactly as transformers' `apply_chat_template` renders it.

        `reply` adds what begins the model's turn; `continue_reply` leaves the last turn open instead. `parts`
        says whose words go in as a list of parts.

        Raises:
            TemplateRefusedError: the template raised an error.
            UserError: the template runs away.
        """
        if not continue_reply:
            return self._run(turns, [self._message(turn, parts) for turn in turns], reply)
        *before, last = turns
        tagged = last._replace(content=last.content + _TAG)
        messages = [*(self._message(turn, parts) for turn in before), _plain(tagged, parts)]
        text = self._run(turns, messages, reply=False)
        if last.content.strip() not in text or _TAG.strip() not in text:
            raise TemplateRefusedError("it does not show the reply that is to be continued")
        end = text.rindex(_TAG.strip())
        kept = text[end : end + len(_TAG)] == _TAG
        return text[:end] if kept else text[:end].rstrip()

    def _message(self, turn: Turn, parts: Parts) -> dict[str, Any]:
        """The turn as templates see it; a thought goes into its own field where the template has one."""
        if turn.role == "assistant" and self.thinking is not None and "reasoning_content" in self.text:
            thought, answer = self.thinking.split(turn.content)
            if thought is not None:
                return {**_plain(turn._replace(content=answer), parts), "reasoning_content": thought}
        return _plain(turn, parts)

    def _run(self, turns: Sequence[Turn], messages: list[dict[str, Any]], reply: bool) -> str:
        text = self._text_of(turns, messages, reply)
        if any(isinstance(message["content"], list) for message in messages):
            said = [turn.content for turn in turns]
            if any(sign in text and not any(sign in words for words in said) for sign in _WRITTEN_OUT):
                raise TemplateRefusedError("it takes no list of parts")
        return text

    def _text_of(self, turns: Sequence[Turn], messages: list[dict[str, Any]], reply: bool) -> str:
        try:
            with rendering():
                text = self._template.render(
                    **{**self.names, "messages": messages, "tools": None, "documents": None},
                    add_generation_prompt=reply,
                )
                said = sum(len(turn.content) for turn in turns)
                if len(text) > MOST_ADDED + MOST_COPIES * said:
                    raise BudgetError("it writes far more than the conversation holds")
                return text
        except (BudgetError, RecursionError, MemoryError, OverflowError) as error:
            why = error if isinstance(error, BudgetError) else "it loops without end"
            raise UserError(
                f"The chat template in {self.source} was cut off: {why}; use another checkpoint."
            ) from error
        except jinja2.TemplateError as error:
            raise TemplateRefusedError(str(error.message or error)) from error
        except Exception as error:  # anything that Python raises inside untrusted code
            raise TemplateRefusedError(f"{type(error).__name__}: {error}") from error


def _plain(turn: Turn, parts: Parts) -> dict[str, Any]:
    said = str(turn.content)
    as_parts = turn.role in parts or (turn.role not in _ROLES and "user" in parts)
    return {"role": str(turn.role), "content": [{"type": "text", "text": said}] if as_parts else said}
