"""SentencePiece models (`tokenizer.model`), unigram and BPE, read without protobuf.

Field numbers are those of `sentencepiece_model.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from chatterm.checkpoint.files import read_bytes
from chatterm.checkpoint.tokenizer.bpe import bpe_model
from chatterm.checkpoint.tokenizer.growth import Growth
from chatterm.checkpoint.tokenizer.merges import merges_from_scores
from chatterm.checkpoint.tokenizer.outline import (
    broken_tokenizer,
    check_character_map,
    check_tokens,
    check_unigram,
)
from chatterm.checkpoint.tokenizer.pieces import SPACE
from chatterm.errors import UserError

_LARGEST_FILE = 1 << 25
_MOST_PIECES = 1 << 20
_UNIGRAM, _BPE = 1, 2
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


@dataclass
class SentencePieceModel:
    """What a `tokenizer.model` holds: pieces with scores and types, and how text is normalised first."""

    pieces: list[tuple[str, float, int]] = field(default_factory=list)
    algorithm: int = _UNIGRAM
    character_map: bytes = b""
    adds_space: bool = True
    removes_extra_spaces: bool = True
    bos_id: int = 1
    eos_id: int = 2
    pad_id: int = -1

    def ids(self, *types: int) -> list[int]:
        """The ids of the pieces of these types."""
        return [index for index, piece in enumerate(self.pieces) if piece[2] in types]


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Reads a SentencePiece model.

    Raises:
        UserError: the file is no SentencePiece model, or uses another algorithm than unigram or BPE.
    """
    content = read_bytes(path, _LARGEST_FILE)
    model = SentencePieceModel()
    try:
        _read_model(content, model)
        check_character_map(model.character_map)
    except (ValueError, IndexError, struct.error, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no readable SentencePiece model ({error}).") from error
    if not model.pieces:
        raise UserError(f"{path} is no SentencePiece model: it holds no pieces.")
    texts = [text for text, _, _ in model.pieces]
    if model.algorithm == _UNIGRAM:
        check_unigram(texts, str(path))
    else:
        check_tokens(texts, str(path))
    if model.algorithm not in (_UNIGRAM, _BPE):
        raise UserError(f"{path} cuts text by words or characters; chatterm reads unigram and BPE models.")
    return model


def sentencepiece_backend(model: SentencePieceModel, source: str) -> tokenizers.Tokenizer:
    """The same for `tokenizers`: control pieces are special, user-defined ones are matched first."""
    unknown = next(iter(model.ids(UNKNOWN)), None)
    name = None if unknown is None else model.pieces[unknown][0]
    byte_fallback = bool(model.ids(BYTE))
    if model.algorithm == _BPE:
        scores = {text: score for text, score, kind in model.pieces if kind in (NORMAL, USER_DEFINED, UNUSED)}
        vocabulary = {text: index for index, (text, _, _) in enumerate(model.pieces)}
        backend = tokenizers.Tokenizer(
            bpe_model(
                vocabulary,
                merges_from_scores(scores),
                source=source,
                unknown=name,
                byte_fallback=byte_fallback,
            )
        )
    else:
        scored = [(text, score) for text, score, _ in model.pieces]
        with broken_tokenizer(f"{source} holds a vocabulary that makes no tokenizer"):
            backend = tokenizers.Tokenizer(
                models.Unigram(vocab=scored, unk_id=unknown, byte_fallback=byte_fallback)
            )
    with broken_tokenizer(f"{source} is not usable as a tokenizer"):
        _surround(backend, model)
    backend.add_tokens(
        [
            AddedToken(
                model.pieces[index][0] if special else model.pieces[index][0].replace(SPACE, " "),
                normalized=False,
                special=special,
            )
            for special, ids in ((True, model.ids(CONTROL, UNKNOWN)), (False, model.ids(USER_DEFINED)))
            for index in ids
            if special or SPACE not in model.pieces[index][0]
        ]
    )
    return backend


def sentencepiece_growth(model: SentencePieceModel) -> Growth:
    """How much longer the steps of such a backend may make a text."""
    return Growth(max(1, check_character_map(model.character_map)), len(SPACE.encode()) + 1)


def _surround(backend: tokenizers.Tokenizer, model: SentencePieceModel) -> None:
    steps: list[normalizers.Normalizer] = []
    if model.character_map:
        steps.append(normalizers.Precompiled(model.character_map))
    if model.removes_extra_spaces:
        steps += [normalizers.Strip(left=True, right=True), normalizers.Replace(Regex(" {2,}"), " ")]
    if steps:
        backend.normalizer = normalizers.Sequence(steps)
    # Where spaces stay as they are, the tokenizer itself puts one before a text, also before another space.
    scheme = "first" if model.adds_space and model.removes_extra_spaces else "never"
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme, split=False)
    decoding = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence(
        [*decoding, decoders.Strip(" ", 1, 0)] if model.adds_space else decoding
    )


# --- the wire format ----------------------------------------------------------------------------------------


def _read_model(data: bytes, model: SentencePieceModel) -> None:
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            if len(model.pieces) >= _MOST_PIECES:
                raise ValueError("it has more pieces than any real model")
            model.pieces.append(_read_piece(value))
        elif number == 2 and isinstance(value, bytes):
            trainer = {key: item for key, item in _fields(value) if isinstance(item, int)}
            model.algorithm = trainer.get(3, model.algorithm)
            model.bos_id = _signed(trainer.get(41, model.bos_id))
            model.eos_id = _signed(trainer.get(42, model.eos_id))
            model.pad_id = _signed(trainer.get(43, model.pad_id))
        elif number == 3 and isinstance(value, bytes):
            for key, item in _fields(value):
                if key == 2 and isinstance(item, bytes):
                    model.character_map = item
                elif key == 3 and isinstance(item, int):
                    model.adds_space = bool(item)
                elif key == 4 and isinstance(item, int):
                    model.removes_extra_spaces = bool(item)


def _read_piece(data: bytes) -> tuple[str, float, int]:
    text, score, kind = "", 0.0, NORMAL
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            text = value.decode("utf-8")
        elif number == 2 and isinstance(value, bytes):
            (score,) = struct.unpack("<f", value)
        elif number == 3 and isinstance(value, int):
            kind = value
    return text, score, kind


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of one message: number, and a varint as int or anything else as bytes."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        wire = key & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield key >> 3, value
            continue
        if wire == 2:
            size, position = _varint(data, position)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"unknown wire type {wire}")
        if position + size > len(data):
            raise ValueError("it ends in the middle of a field")
        yield key >> 3, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
