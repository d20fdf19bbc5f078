"""Tokenizers rebuilt from the metadata of a GGUF file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, normalizers

from chatterm.checkpoint.thinking import NAMES
from chatterm.checkpoint.tokenizer.bpe import bpe_model, without_collector
from chatterm.checkpoint.tokenizer.merges import merges_from_scores
from chatterm.checkpoint.tokenizer.outline import check_tokens
from chatterm.checkpoint.tokenizer.pieces import SPACE
from chatterm.checkpoint.tokenizer.pre_tokenizers import RULES, PreTokenizing
from chatterm.checkpoint.tokenizer.special import end_tokens, looks_like_control
from chatterm.checkpoint.tokenizer.tokenizer import Tokenizer
from chatterm.errors import UserError

_PREFIX = "tokenizer.ggml."
_LARGEST_VOCABULARY = 1 << 20
_LONGEST_LIST = 1_500_000
_REFUSED = {
    "bert": "WordPiece, the tokenizer of encoders",
    "t5": "the unigram tokenizer of encoder-decoders",
    "rwkv": "the tokenizer of RWKV, a recurrent model",
    "plamo2": "the tokenizer of PLaMo 2",
    "none": "no tokenizer at all",
    "no_vocab": "no tokenizer at all",
}
_RULE_OF_ARCHITECTURE = {
    "gpt2": "gpt-2",
    "gptneox": "olmo",
    "mpt": "mpt",
    "falcon": "falcon",
    "starcoder": "starcoder",
}
"""Files from before `tokenizer.ggml.pre` existed, where the architecture leaves only one rule."""


class TokenType(IntEnum):
    """`tokenizer.ggml.token_type`."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class _Vocabulary:
    """The token list of a file, checked: `types[i]` and `scores[i]` belong to `tokens[i]`."""

    tokens: list[str]
    types: Sequence[float]
    scores: Sequence[float]

    @cached_property
    def ids(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

    def of(self, *types: int) -> list[int]:
        return [index for index, kind in enumerate(self.types) if kind in types]


def tokenizer_from_gguf(metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that a GGUF file describes.

    Args:
        metadata: the file's keys; arrays of strings as `list[str]`.

    Raises:
        UserError: the kind of tokenizer or the pre-tokenizing rule is unknown, or the token list is damaged.
    """
    model = metadata.get(_PREFIX + "model")
    if isinstance(model, str) and model in _REFUSED:
        raise UserError(f"This GGUF file has {_REFUSED[model]}; chatterm runs decoder-only chat models.")
    with without_collector():
        vocabulary = _read_vocabulary(metadata)
        if model == "llama":
            return _sentencepiece(metadata, vocabulary)
        if model in ("gpt2", "gemma4"):
            return _merges(metadata, vocabulary, _rule(metadata))
    raise UserError(f"This GGUF file has a tokenizer of kind {model!r}, which chatterm does not know.")


def _rule(metadata: Mapping[str, Any]) -> PreTokenizing:
    name = metadata.get(_PREFIX + "pre")
    if metadata.get(_PREFIX + "model") == "gemma4":
        name = "gemma4"
    if name is None:
        name = _RULE_OF_ARCHITECTURE.get(str(metadata.get("general.architecture")))
        if name is None:
            raise UserError(
                "This GGUF file does not say how its tokenizer cuts text into words (tokenizer.ggml.pre is "
                "missing), and guessing would spoil every answer; convert the model again anew."
            )
    rule = RULES.get(name) if isinstance(name, str) else None
    if rule is None:
        raise UserError(
            f"This GGUF file cuts text into words by the rule {name!r} (tokenizer.ggml.pre), which chatterm "
            "does not know; guessing would spoil every answer, so use the model's safetensors instead."
        )
    return rule


def _merges(metadata: Mapping[str, Any], vocabulary: _Vocabulary, rule: PreTokenizing) -> Tokenizer:
    """Byte-level BPE with stated merges, or BPE on characters (gemma4)."""
    stated = metadata.get(_PREFIX + "merges")
    if stated is None and metadata.get(_PREFIX + "pre") == "kimi-k2":  # tiktoken: the rank is the id
        normal = vocabulary.of(TokenType.NORMAL)
        merges = merges_from_scores({vocabulary.tokens[index]: -index for index in normal})
    else:
        merges = _pairs(_strings(stated, "merges"))
    unknown = _token_name(metadata, vocabulary, "unknown") if not rule.bytes else None
    backend = tokenizers.Tokenizer(
        bpe_model(
            vocabulary.ids,
            merges,
            source="This GGUF file",
            unknown=unknown,
            byte_fallback=not rule.bytes,
            ignore_merges=rule.ignore_merges,
        )
    )
    backend.normalizer = rule.normalizer()
    backend.pre_tokenizer = rule.pre_tokenizer()
    backend.decoder = decoders.ByteLevel() if rule.bytes else _spaces_decoder(strip=False)
    return _finish(metadata, vocabulary, backend, bytes_=rule.bytes, adds_bos=rule.adds_bos, prefix=False)


def _sentencepiece(metadata: Mapping[str, Any], vocabulary: _Vocabulary) -> Tokenizer:
    """SentencePiece-style BPE: merges rebuilt from scores, what is left over written in bytes."""
    parts = set(vocabulary.of(TokenType.NORMAL, TokenType.USER_DEFINED, TokenType.UNUSED))
    scores = {
        token: vocabulary.scores[index] for index, token in enumerate(vocabulary.tokens) if index in parts
    }
    backend = tokenizers.Tokenizer(
        bpe_model(
            vocabulary.ids,
            merges_from_scores(scores),
            source="This GGUF file",
            unknown=_token_name(metadata, vocabulary, "unknown"),
            byte_fallback=bool(vocabulary.of(TokenType.BYTE)),
        )
    )
    prefix = bool(metadata.get(_PREFIX + "add_space_prefix", True))
    spaces = normalizers.Replace(" ", SPACE)
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), spaces]) if prefix else spaces
    backend.decoder = _spaces_decoder(strip=prefix)
    return _finish(metadata, vocabulary, backend, bytes_=False, adds_bos=True, prefix=prefix)


def _spaces_decoder(*, strip: bool) -> decoders.Decoder:
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if strip else steps)


def _finish(
    metadata: Mapping[str, Any],
    vocabulary: _Vocabulary,
    backend: tokenizers.Tokenizer,
    *,
    bytes_: bool,
    adds_bos: bool,
    prefix: bool,
) -> Tokenizer:
    control = [
        index
        for index in vocabulary.of(TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNKNOWN)
        if vocabulary.types[index] != TokenType.USER_DEFINED or looks_like_control(vocabulary.tokens[index])
    ]
    strips = _strips_space_after(metadata)
    markers = [index for index in vocabulary.of(TokenType.USER_DEFINED) if vocabulary.tokens[index] in NAMES]
    kept_text = {*control, *markers}
    backend.add_tokens(
        [
            AddedToken(
                vocabulary.tokens[index],
                normalized=False,
                special=index in kept_text,
                rstrip=strips and index in kept_text and vocabulary.tokens[index] not in _NEVER_STRIP,
            )
            for index in sorted({*control, *vocabulary.of(TokenType.USER_DEFINED)})
        ]
    )
    names = {
        f"{role}_token": name
        for role, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
        if (name := _token_name(metadata, vocabulary, key)) is not None
    }
    stated = [_token_id(metadata, vocabulary, key) for key in ("eos", "eot", "eom")]
    bos_id = _token_id(metadata, vocabulary, "bos")
    control_names = {vocabulary.tokens[index]: index for index in control}
    return Tokenizer(
        backend,
        kind="byte-level" if bytes_ else "sentencepiece",
        vocabulary=len(vocabulary.tokens),
        control=control,
        protected=markers,
        bos_id=bos_id,
        adds_bos=bool(metadata.get(_PREFIX + "add_bos_token", adds_bos)),
        end_ids=end_tokens(control_names, [id_ for id_ in stated if id_ is not None]),
        strips_space=prefix,
        prepends_space=False,
        names=names,
        source="GGUF metadata",
    )


_SURROGATE = re.compile("[\ud800-\udfff]")
_NEVER_STRIP = frozenset({"<unk>", "<s>", "<|endoftext|>"})


def _strips_space_after(metadata: Mapping[str, Any]) -> bool:
    """Phi-3's control tokens swallow the white space after them, which GGUF cannot say; its name does."""
    name = str(metadata.get("general.name", "")).lower()
    return metadata.get(_PREFIX + "model") == "llama" and ("phi-3" in name or "phi3" in name)


# --- reading, with everything checked ---------------------------------------------------------------------


def _read_vocabulary(metadata: Mapping[str, Any]) -> _Vocabulary:
    tokens = _strings(metadata.get(_PREFIX + "tokens"), "tokens")
    count = len(tokens)
    if not 0 < count <= _LARGEST_VOCABULARY:
        raise UserError(f"This GGUF file lists {count} tokens, which no language model has; it is damaged.")
    check_tokens(tokens, "This GGUF file")
    types = _numbers(metadata, "token_type", count, TokenType.NORMAL)
    return _Vocabulary(_distinct(tokens), types, _numbers(metadata, "scores", count, 0.0))


def _distinct(tokens: list[str]) -> list[str]:
    """Every token with a name that `tokenizers` can hold and that no other has."""
    if (
        "" not in (seen := set(tokens))
        and len(seen) == len(tokens)
        and not _SURROGATE.search("".join(tokens))
    ):
        return tokens
    result: list[str] = []
    taken: set[str] = set()
    for index, token in enumerate(tokens):
        usable = token and token not in taken and not _SURROGATE.search(token)
        result.append(token if usable else f"[token {index}]")
        taken.add(result[-1])
    return result


def _strings(value: Any, key: str) -> list[str]:
    if not isinstance(value, list) or len(value) > _LONGEST_LIST or not set(map(type, value)) <= {str}:
        raise UserError(f"This GGUF file has no readable list {_PREFIX}{key}; it is damaged or incomplete.")
    return value


def _numbers(metadata: Mapping[str, Any], key: str, count: int, default: float) -> Sequence[float]:
    value = metadata.get(_PREFIX + key)
    if value is None:
        return [default] * count
    if not isinstance(value, list) or len(value) < count or not set(map(type, value)) <= {int, float}:
        raise UserError(f"This GGUF file's {_PREFIX}{key} does not match its list of tokens; it is damaged.")
    return value[:count]


def _pairs(merges: list[str]) -> list[tuple[str, str]]:
    """Merges as they are written: two tokens and a space between them, of which the first may be a space."""
    found = []
    for merge in merges:
        cut = merge.find(" ", 1)
        found.append((merge[:cut], merge[cut + 1 :]))
    return found


def _token_id(metadata: Mapping[str, Any], vocabulary: _Vocabulary, role: str) -> int | None:
    value = metadata.get(f"{_PREFIX}{role}_token_id")
    return value if isinstance(value, int) and 0 <= value < len(vocabulary.tokens) else None


def _token_name(metadata: Mapping[str, Any], vocabulary: _Vocabulary, role: str) -> str | None:
    index = _token_id(metadata, vocabulary, role)
    return None if index is None else vocabulary.tokens[index]
