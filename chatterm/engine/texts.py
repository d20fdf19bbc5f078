"""Requests about text: what it looks like to the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.template import ChatTemplate, PlainDialogue, encode_chat
from chatterm.checkpoint.tokenizer import Tokenizer, TokenSpan, load_tokenizer
from chatterm.engine.messages import Render, Rendered, Tokenize, Tokenized
from chatterm.engine.records import PromptToken


def tokenizer_of(path: str) -> Tokenizer:
    """The tokenizer of a checkpoint, without its weights.

    Raises:
        UserError: it cannot be read.
    """
    return load_tokenizer(open_checkpoint(Path(path)))


def tokenized(request: Tokenize, tokenizer: Tokenizer) -> Tokenized:
    """A text as tokens; special tokens in it stay text."""
    return Tokenized(request=request.request, tokens=_tokens(tokenizer, tokenizer.encode_spans(request.text)))


def rendered(request: Render, tokenizer: Tokenizer, template: ChatTemplate | PlainDialogue) -> Rendered:
    """What the model sees of a conversation.

    Raises:
        UserError: the template refuses it.
    """
    chat = request.chat
    encoded = encode_chat(tokenizer, template, chat.messages, continue_reply=chat.continue_reply)
    end = len(encoded.text)
    begun = tuple(PromptToken(token, tokenizer.piece(token), end, end) for token in chat.begun)
    return Rendered(
        request=request.request,
        text=encoded.text,
        tokens=_tokens(tokenizer, encoded.spans) + begun,
        notices=encoded.notices,
    )


def _tokens(tokenizer: Tokenizer, spans: Sequence[TokenSpan]) -> tuple[PromptToken, ...]:
    return tuple(PromptToken(token, tokenizer.piece(token), start, end) for token, start, end in spans)
