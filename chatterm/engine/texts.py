"""Requests about text: what it looks like to the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.template import ChatTemplate, PlainDialogue, encode_chat
from chatterm.checkpoint.tokenizer import Tokenizer, TokenSpan, load_tokenizer
from chatterm.checkpoint.tokenizer.stream import TextStream
from chatterm.engine.messages import Render, Rendered, Tokenize, Tokenized
from chatterm.errors import UserError
from chatterm.records.generation import PromptToken, Tokens


def tokenizer_of(path: str) -> Tokenizer:
    """The tokenizer of a checkpoint, without its weights.

    Raises:
        UserError: it cannot be read.
    """
    return load_tokenizer(open_checkpoint(Path(path)))


def tokenized(request: Tokenize, tokenizer: Tokenizer) -> Tokenized:
    """A text as tokens; special tokens in it stay text, but for those that the request names.

    Raises:
        UserError: what is to be control tokens are none, or do not stand in the text one after the other.
    """
    own = [TokenSpan(*span) for span in request.control]
    ends = [0, *(span.end for span in own)]
    in_order = all(end <= span.start < span.end for end, span in zip(ends, own, strict=False))
    if not in_order or ends[-1] > len(request.text):
        raise UserError("The control tokens of this text do not stand in it one after the other.")
    for span in own:
        if not tokenizer.is_protected(span.id):
            raise UserError(f"Token {span.id} is no control token of this model, so no text is made one.")
    spans = tokenizer.encode_marked(request.text, own) if own else tokenizer.encode_spans(request.text)
    return Tokenized(request=request.request, tokens=_tokens(tokenizer, spans))


def rendered(request: Render, tokenizer: Tokenizer, template: ChatTemplate | PlainDialogue) -> Rendered:
    """What the model sees of a conversation.

    Raises:
        UserError: the template refuses it.
    """
    chat = request.chat
    if isinstance(chat, Tokens):
        text, spans = written(tokenizer, [*chat.ids, *chat.begun])
        return Rendered(request=request.request, text=text, tokens=_tokens(tokenizer, spans))
    encoded = encode_chat(tokenizer, template, chat.messages, continue_reply=chat.continue_reply)
    end = len(encoded.text)
    begun = _tokens(tokenizer, [TokenSpan(token, end, end) for token in chat.begun])
    return Rendered(
        request=request.request,
        text=encoded.text,
        tokens=_tokens(tokenizer, encoded.spans) + begun,
        notices=encoded.notices,
    )


def written(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[str, list[TokenSpan]]:
    """The text that tokens stand for, and where in it each stands.

    Of the texts that they could have come from (with or without a space before, the beginning token written
    or added by the vocabulary) the first is taken that gives just these tokens again; if none does, as where
    an edit parts a character, the text with everything in it.
    """
    unseen = bool(ids) and ids[0] == tokenizer.bos_id and tokenizer.adds_bos
    plain = _written(tokenizer, ids, strip=False, unseen=False)
    for strip in (True, False):
        for hidden in (True, False) if unseen else (False,):
            text, spans = _written(tokenizer, ids, strip=strip, unseen=hidden)
            own = [span for span in spans if span.end > span.start and tokenizer.is_protected(span.id)]
            again = tokenizer.encode_marked(text, own)
            if [span.id for span in again] == [*ids][hidden:]:
                return text, spans
    return plain


def _written(
    tokenizer: Tokenizer, ids: Sequence[int], *, strip: bool, unseen: bool
) -> tuple[str, list[TokenSpan]]:
    stream = TextStream(tokenizer.token_bytes, strip_space=strip)
    parts, spans, length = [], [], 0
    for place, token in enumerate(ids):
        part = "" if unseen and place == 0 else stream.push(token)
        parts.append(part)
        spans.append(TokenSpan(token, length, length + len(part)))
        length += len(part)
    return "".join([*parts, stream.flush()]), spans


def _tokens(tokenizer: Tokenizer, spans: Sequence[TokenSpan]) -> tuple[PromptToken, ...]:
    return tuple(
        PromptToken(token, tokenizer.piece(token), start, end, tokenizer.is_protected(token))
        for token, start, end in spans
    )
