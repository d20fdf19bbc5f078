"""Text to token ids and back, for every form in which a checkpoint keeps its vocabulary."""

from __future__ import annotations

from chatterm.checkpoint.tokenizer.folder import tokenizer_from_folder
from chatterm.checkpoint.tokenizer.gguf import tokenizer_from_gguf
from chatterm.checkpoint.tokenizer.load import load_tokenizer
from chatterm.checkpoint.tokenizer.stream import TextStream
from chatterm.checkpoint.tokenizer.tokenizer import Tokenizer, TokenSpan

__all__ = [
    "TextStream",
    "TokenSpan",
    "Tokenizer",
    "load_tokenizer",
    "tokenizer_from_folder",
    "tokenizer_from_gguf",
]
