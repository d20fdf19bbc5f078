"""A conversation as the tokens that the model sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chatterm.checkpoint.dialogue import PlainDialogue
from chatterm.checkpoint.template.folding import render_folding
from chatterm.checkpoint.template.messages import ChatMessage, Turn
from chatterm.checkpoint.template.template import ChatTemplate
from chatterm.checkpoint.template.thinking import ThinkingMarkers
from chatterm.checkpoint.tokenizer.tokenizer import Tokenizer, TokenSpan
from chatterm.errors import UserError

_PRIVATE_USE = 0x100000  # Supplementary Private Use Area-B


class EncodedPrompt(NamedTuple):
    """A prompt, ready for the model.

    Attributes:
        ids: the tokens.
        text: what they were made of.
        spans: each token with its character offsets into `text`.
        notices: sentences for the user about what had to be changed.
        stop: texts at which a reply ends, besides the end tokens.
        thinking: the prompt ends inside a thinking block.
    """

    ids: list[int]
    text: str
    spans: list[TokenSpan]
    notices: tuple[str, ...]
    stop: tuple[str, ...]
    thinking: bool


def encode_chat(
    tokenizer: Tokenizer,
    template: ChatTemplate | PlainDialogue,
    messages: Sequence[ChatMessage],
    continue_reply: bool = False,
) -> EncodedPrompt:
    """Renders and encodes a conversation.

    Names of control tokens that the user or the system prompt wrote stay text; those of the template, and the
    thinking markers in replies, become tokens. Without such names the ids are those of transformers. The
    beginning token is added where the vocabulary wants it and the template did not write it.

    Raises:
        UserError: the template refuses the conversation, or runs away.
    """
    if not messages:
        raise UserError("There is no message to reply to.")
    if isinstance(template, PlainDialogue):
        rendered = template.render(messages, continue_reply=continue_reply)
        spans = tokenizer.encode_spans(rendered.text, add_bos=True)
        return _prompt(rendered.text, spans, rendered.notices, template.stop, thinking=False)
    markers = template.thinking
    disguise = _Disguise(tokenizer, markers, [*(message.content for message in messages), template.text])
    turns = [disguise.turn(Turn(message.role, message.content)) for message in messages]
    rendered = render_folding(template, turns, continue_reply=continue_reply)
    thinking = markers is not None and _inside(rendered.text, markers)
    text = disguise.remove(rendered.text)
    if disguise.used:
        spans = tokenizer.encode_marked(text, tokenizer.find_control(rendered.text))
    else:
        spans = tokenizer.encode_spans(text, special=True)
    spans = tokenizer.with_bos(spans)
    return _prompt(text, spans, rendered.notices, template.stop, thinking=thinking)


def _prompt(
    text: str, spans: list[TokenSpan], notices: tuple[str, ...], stop: tuple[str, ...], *, thinking: bool
) -> EncodedPrompt:
    return EncodedPrompt([span.id for span in spans], text, spans, notices, stop, thinking)


def _inside(text: str, markers: ThinkingMarkers) -> bool:
    """Whether `text` ends after an opening marker that is not closed."""
    return text.rfind(markers.opens) > text.rfind(markers.closes)


class _Disguise:
    """Hides names of control tokens in messages from the template and from the search for its own.

    Each becomes a private-use character repeated to the same length, which no template knows, and is put back
    in the rendered text, where it then stands at the same offsets.
    """

    def __init__(self, tokenizer: Tokenizer, markers: ThinkingMarkers | None, texts: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._markers = markers
        self._texts = texts
        self._names: dict[str, str] = {}  # by stand-in

    @property
    def used(self) -> bool:
        """Whether anything was hidden."""
        return bool(self._names)

    def turn(self, turn: Turn) -> Turn:
        """The turn with its control names hidden; a reply keeps the model's own thinking markers."""
        kept = self._markers or () if turn.role == "assistant" else ()
        result, position = [], 0
        for span in self._tokenizer.find_control(turn.content):
            name = turn.content[span.start : span.end]
            if name not in kept:
                result += [turn.content[position : span.start], self._stand_in(name) * len(name)]
                position = span.end
        return turn._replace(content="".join([*result, turn.content[position:]]))

    def remove(self, text: str) -> str:
        """`text` with everything that was hidden put back."""
        for stand_in, name in self._names.items():
            text = text.replace(stand_in * len(name), name)
        return text

    def _stand_in(self, name: str) -> str:
        for stand_in, known in self._names.items():
            if known == name:
                return stand_in
        code = _PRIVATE_USE + len(self._names)
        while chr(code) in self._names or any(chr(code) in text for text in self._texts):
            code += 1
        self._names[chr(code)] = name
        return chr(code)
