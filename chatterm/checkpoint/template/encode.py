"""A conversation as the tokens that the model sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chatterm.checkpoint.dialogue import PlainDialogue
from chatterm.checkpoint.template.budget import rendering
from chatterm.checkpoint.template.folding import render_folding
from chatterm.checkpoint.template.messages import ChatMessage, Turn
from chatterm.checkpoint.template.template import ChatTemplate
from chatterm.checkpoint.thinking import ThinkingMarkers
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
        strip: whether one leading space of the reply belongs to the prompt; None: as the vocabulary has it.
        keep: control tokens that are part of the reply's text all the same: the thinking markers.
    """

    ids: list[int]
    text: str
    spans: Sequence[TokenSpan] = ()
    notices: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    thinking: bool = False
    strip: bool | None = False
    keep: frozenset[int] = frozenset()


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
        ids = [span.id for span in spans]
        return EncodedPrompt(ids, rendered.text, spans, stop=template.stop, strip=not continue_reply)
    markers = template.thinking
    disguise = _Disguise(tokenizer, markers, [*(message.content for message in messages), template.text])
    turns = [disguise.turn(Turn(message.role, message.content)) for message in messages]
    _ = template.manner  # has a budget of its own
    with rendering():
        rendered = render_folding(template, turns, continue_reply=continue_reply)
    text = disguise.remove(rendered.text)
    if disguise.used:
        spans = tokenizer.encode_marked(text, tokenizer.find_control(rendered.text))
    else:
        spans = tokenizer.encode_spans(text, special=True)
    spans = tokenizer.with_bos(spans)
    names = [] if markers is None else [span.id for name in markers for span in tokenizer.find_control(name)]
    return EncodedPrompt(
        [span.id for span in spans],
        text,
        spans,
        rendered.notices,
        template.stop,
        thinking=markers is not None and markers.open_in(rendered.text),
        strip=False if continue_reply else None,
        keep=frozenset(names),
    )


class _Disguise:
    """Hides names of control tokens, and thinking markers, in messages from the template and from the search
    for its own.

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
        content = "".join([*result, turn.content[position:]])
        for name in self._markers or ():
            if name not in kept and name in content:
                content = content.replace(name, self._stand_in(name) * len(name))
        return turn._replace(content=content)

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
