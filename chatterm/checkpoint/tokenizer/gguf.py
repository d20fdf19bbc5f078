"""Tokenizers rebuilt from the metadata of a GGUF file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, normalizers

from chatterm.checkpoint.thinking import NAMES
from chatterm.checkpoint.tokenizer.bpe import bpe_model, without_collector
from chatterm.checkpoint.tokenizer.gguf_control import ENDS, control_tokens
from chatterm.checkpoint.tokenizer.gguf_vocabulary import (
    PREFIX,
    TokenType,
    Vocabulary,
    read_vocabulary,
    strings,
)
from chatterm.checkpoint.tokenizer.merges import merges_from_scores
from chatterm.checkpoint.tokenizer.pieces import SPACE
from chatterm.checkpoint.tokenizer.pre_tokenizers import RULES, PreTokenizing
from chatterm.checkpoint.tokenizer.rows import beyond_rows_notice
from chatterm.checkpoint.tokenizer.special import end_tokens
from chatterm.checkpoint.tokenizer.tokenizer import Tokenizer
from chatterm.errors import UserError

_ROLES = {
    **{"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"},
    **{"sep": "seperator", "cls": "cls", "mask": "mask"},
}
"""Names for templates, and what the keys of files call them (one is misspelt)."""

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


def tokenizer_from_gguf(metadata: Mapping[str, Any], rows: int | None = None) -> Tokenizer:
    """The tokenizer that a GGUF file describes.

    Args:
        metadata: the file's keys; arrays of strings as `list[str]`.
        rows: of the embedding, where known; what the file lists beyond them is left out.

    Raises:
        UserError: the kind of tokenizer or the pre-tokenizing rule is unknown, or the token list is damaged.
    """
    model = metadata.get(PREFIX + "model")
    if isinstance(model, str) and model in _REFUSED:
        raise UserError(f"This GGUF file has {_REFUSED[model]}; chatterm runs decoder-only chat models.")
    with without_collector():
        vocabulary = read_vocabulary(metadata, rows)
        if model == "llama":
            return _sentencepiece(metadata, vocabulary)
        if model in ("gpt2", "gemma4"):
            return _merges(metadata, vocabulary, _rule(metadata))
    raise UserError(f"This GGUF file has a tokenizer of kind {model!r}, which chatterm does not know.")


def _rule(metadata: Mapping[str, Any]) -> PreTokenizing:
    name = metadata.get(PREFIX + "pre")
    if metadata.get(PREFIX + "model") == "gemma4":
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


def _merges(metadata: Mapping[str, Any], vocabulary: Vocabulary, rule: PreTokenizing) -> Tokenizer:
    """Byte-level BPE with stated merges, or BPE on characters (gemma4)."""
    stated = metadata.get(PREFIX + "merges")
    if stated is None and metadata.get(PREFIX + "pre") == "kimi-k2":  # tiktoken: the rank is the id
        normal = vocabulary.of(TokenType.NORMAL)
        merges = merges_from_scores({vocabulary.tokens[index]: -index for index in normal})
    else:
        merges = _pairs(strings(stated, "merges"))
    unknown = vocabulary.name("unknown") if not rule.bytes else None
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


def _sentencepiece(metadata: Mapping[str, Any], vocabulary: Vocabulary) -> Tokenizer:
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
            unknown=vocabulary.name("unknown"),
            byte_fallback=bool(vocabulary.of(TokenType.BYTE)),
        )
    )
    prefix = bool(metadata.get(PREFIX + "add_space_prefix", True))
    spaces = normalizers.Replace(" ", SPACE)
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), spaces]) if prefix else spaces
    backend.decoder = _spaces_decoder(strip=prefix)
    return _finish(metadata, vocabulary, backend, bytes_=False, adds_bos=True, prefix=prefix)


def _spaces_decoder(*, strip: bool) -> decoders.Decoder:
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if strip else steps)


def _finish(
    metadata: Mapping[str, Any],
    vocabulary: Vocabulary,
    backend: tokenizers.Tokenizer,
    *,
    bytes_: bool,
    adds_bos: bool,
    prefix: bool,
) -> Tokenizer:
    control = control_tokens(vocabulary, backend, bytes_=bytes_)
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
        f"{role}_token": name for role, key in _ROLES.items() if (name := vocabulary.name(key)) is not None
    }
    stated = [vocabulary.stated[key] for key in ENDS if key in vocabulary.stated]
    control_names = {vocabulary.tokens[index]: index for index in control}
    return Tokenizer(
        backend,
        kind="byte-level" if bytes_ else "sentencepiece",
        vocabulary=len(vocabulary.tokens),
        control=control,
        protected=markers,
        bos_id=vocabulary.stated.get("bos"),
        adds_bos=_adds_bos(metadata, adds_bos),
        end_ids=end_tokens(control_names, stated),
        strips_space=prefix,
        prepends_space=False,
        names=names,
        source="GGUF metadata",
        notices=beyond_rows_notice(vocabulary.beyond),
    )


def _adds_bos(metadata: Mapping[str, Any], usual: bool) -> bool:
    """Whether texts begin with the beginning token; the first files of Gemma 4 wrongly say no."""
    stated = bool(metadata.get(PREFIX + "add_bos_token", usual))
    return stated or metadata.get(PREFIX + "model") == "gemma4"


_NEVER_STRIP = frozenset({"<unk>", "<s>", "<|endoftext|>"})


def _strips_space_after(metadata: Mapping[str, Any]) -> bool:
    """Phi-3's control tokens swallow the white space after them, which GGUF cannot say; its name does."""
    name = str(metadata.get("general.name", "")).lower()
    return metadata.get(PREFIX + "model") == "llama" and ("phi-3" in name or "phi3" in name)


def _pairs(merges: list[str]) -> list[tuple[str, str]]:
    """Merges as they are written: two tokens and a space between them, of which the first may be a space."""
    found = []
    for merge in merges:
        cut = merge.find(" ", 1)
        found.append((merge[:cut], merge[cut + 1 :]))
    return found
