"""A checkpoint's chat template: messages to the exact text that the model was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from chatterm.checkpoint.template.budget import BudgetError, rendering
from chatterm.checkpoint.template.folding import render_folding
from chatterm.checkpoint.template.messages import ChatMessage, Rendered, TemplateRefusedError, Turn
from chatterm.checkpoint.template.sandbox import ChatEnvironment
from chatterm.checkpoint.thinking import ThinkingMarkers
from chatterm.errors import UserError

MOST_ADDED = 1 << 17
"""Characters that a template may write of its own; cutting a text into tokens takes memory for each."""

MOST_COPIES = 4
"""Times that it may write the messages."""

_TAG = "CONTINUE_FINAL_MESSAGE_TAG "
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
        with rendering():
            return render_folding(self, turns, continue_reply=continue_reply)

    def apply(self, turns: Sequence[Turn], *, continue_reply: bool = False, reply: bool = True) -> str:
        """The conversation exactly as transformers' `apply_chat_template` renders it.

        `reply` adds what begins the model's turn; `continue_reply` leaves the last turn open instead.

        Raises:
            TemplateRefusedError: the template raised an error.
            UserError: the template runs away.
        """
        if not continue_reply:
            return self._run([self._message(turn) for turn in turns], add_generation_prompt=reply)
        final = turns[-1].content
        tagged = [*map(self._message, turns[:-1]), {"role": turns[-1].role, "content": final + _TAG}]
        text = self._run(tagged, add_generation_prompt=False)
        if final.strip() not in text or _TAG.strip() not in text:
            raise TemplateRefusedError("it does not show the reply that is to be continued")
        end = text.rindex(_TAG.strip())
        kept = text[end : end + len(_TAG)] == _TAG
        return text[:end] if kept else text[:end].rstrip()

    def _message(self, turn: Turn) -> dict[str, Any]:
        """The turn as templates see it; a thought goes into its own field where the template has one."""
        plain = {"role": str(turn.role), "content": str(turn.content)}
        if turn.role == "assistant" and self.thinking is not None and "reasoning_content" in self.text:
            thought, answer = self.thinking.split(turn.content)
            if thought is not None:
                return {**plain, "content": answer, "reasoning_content": thought}
        return plain

    def _run(self, messages: list[dict[str, Any]], **options: Any) -> str:
        try:
            with rendering():
                text = self._template.render(
                    messages=messages, tools=None, documents=None, **{**self.names, **options}
                )
                said = sum(len(message["content"]) for message in messages)
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
