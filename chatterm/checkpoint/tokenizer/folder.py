"""Tokenizers of checkpoint folders: `tokenizer.json`, `tokenizer.model`, `vocab.json` with `merges.txt`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, pre_tokenizers

from chatterm.checkpoint.files import inside, read_bytes, read_json, read_json_if_there, read_text
from chatterm.checkpoint.thinking import NAMES
from chatterm.checkpoint.tokenizer.beginning import beginning, put_before
from chatterm.checkpoint.tokenizer.bpe import bpe_model
from chatterm.checkpoint.tokenizer.growth import ORDINARY, Growth
from chatterm.checkpoint.tokenizer.named import NamedTokens, content, named_tokens
from chatterm.checkpoint.tokenizer.outline import (
    MAX_TOKENIZER_BYTES,
    broken_tokenizer,
    check_added,
    check_outline,
    check_tokens,
)
from chatterm.checkpoint.tokenizer.rows import MAX_VOCABULARY, beyond_rows_notice, within_rows
from chatterm.checkpoint.tokenizer.sentencepiece import (
    read_sentencepiece,
    sentencepiece_backend,
    sentencepiece_growth,
)
from chatterm.checkpoint.tokenizer.special import (
    SURE_NAMES,
    end_tokens,
    is_word,
    looks_like_control,
    marker_ids,
)
from chatterm.checkpoint.tokenizer.tokenizer import Kind, Tokenizer
from chatterm.errors import UserError

MAX_MERGES_BYTES = 16 << 20


def tokenizer_from_folder(folder: Path, rows: int | None = None) -> Tokenizer:
    """The tokenizer of a checkpoint folder; the first of the three forms that is there.

    Args:
        folder: of the checkpoint.
        rows: of the embedding, where known; tokens beyond them are left out.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    config = read_json_if_there(folder, "tokenizer_config.json")
    prepends_space = default_bos = False
    processed = None
    growth = ORDINARY
    if (path := inside(folder, "tokenizer.json")).is_file():
        backend, growth = _from_json(path)
        processed = put_before(backend, str(path))
    elif (path := inside(folder, "tokenizer.model")).is_file():
        model = read_sentencepiece(path)
        prepends_space = model.adds_space and not model.removes_extra_spaces
        backend = sentencepiece_backend(model, str(path))
        growth = sentencepiece_growth(model)
        roles = (("bos_token", model.bos_id), ("eos_token", model.eos_id), ("pad_token", model.pad_id))
        stated = {role: model.pieces[index][0] for role, index in roles if 0 <= index < len(model.pieces)}
        config = {**stated, **config}
        default_bos = config.get("bos_token") is not None
    elif (path := inside(folder, "vocab.json")).is_file() and (
        merges := inside(folder, "merges.txt")
    ).is_file():
        backend = _from_vocabulary(path, merges)
    else:
        raise UserError(
            f"{folder} has no tokenizer: no tokenizer.json, tokenizer.model, or vocab.json with merges.txt."
        )
    kind, strips_space = _kind(backend, path)
    backend.post_processor = None  # the beginning token is added here, and spans keep their white space
    named = named_tokens(folder, config)
    with broken_tokenizer(f"{folder} adds tokens that cannot be used"):
        _add_tokens(backend, folder, config, named, rows)
    backend, beyond = _fitted(backend, rows, path)
    if processed is not None:
        processed = tuple(token for token in processed if backend.id_to_token(token) is not None)
    begins = beginning(config, processed, _id(backend, named.names.get("bos_token")), default_bos)
    ends = _stated_ends(_id(backend, named.names.get("eos_token")), folder)
    control = _mark_control(backend, {*ends, *begins.tokens}, bytes_=kind == "byte-level")
    added = backend.get_added_tokens_decoder()
    vocabulary = backend.get_vocab(with_added_tokens=True)
    check_tokens(vocabulary, str(path))
    return Tokenizer(
        backend,
        kind=kind,
        vocabulary=max(vocabulary.values(), default=-1) + 1,
        control=control.values(),
        protected=[index for index, token in added.items() if token.content in NAMES],
        bos_id=begins.bos_id,
        adds_bos=bool(begins.tokens),
        end_ids=end_tokens(control, ends),
        strips_space=strips_space,
        prepends_space=prepends_space,
        names=named.names,
        source=path.name,
        growth=growth,
        begins=begins.tokens,
        notices=(*begins.notices, *beyond_rows_notice(beyond)),
    )


def _from_json(path: Path) -> tuple[tokenizers.Tokenizer, Growth]:
    document, growth = check_outline(read_bytes(path, MAX_TOKENIZER_BYTES), str(path))
    with broken_tokenizer(f"{path} is not readable as a tokenizer"):
        backend = tokenizers.Tokenizer.from_buffer(document)
    backend.no_padding()  # before anything is cut: a file may ask for a length without end
    backend.no_truncation()
    return backend, growth


def _from_vocabulary(vocabulary_path: Path, merges_path: Path) -> tokenizers.Tokenizer:
    """GPT-2's two files: byte-level BPE with GPT-2's rule for words."""
    vocabulary = read_json(vocabulary_path)
    if not vocabulary or not all(isinstance(value, int) and value >= 0 for value in vocabulary.values()):
        raise UserError(f"{vocabulary_path} is no vocabulary: it must map tokens to their numbers.")
    check_tokens(vocabulary, str(vocabulary_path))
    lines = read_text(merges_path, MAX_MERGES_BYTES).split("\n")
    merges = [
        (left, right)
        for line in lines
        if not line.startswith("#version")
        for left, _, right in [line.rstrip("\r").partition(" ")]
        if right
    ]
    backend = tokenizers.Tokenizer(bpe_model(vocabulary, merges, source=str(vocabulary_path)))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    backend.decoder = decoders.ByteLevel()
    return backend


def _fitted(
    backend: tokenizers.Tokenizer, rows: int | None, path: Path
) -> tuple[tokenizers.Tokenizer, list[str]]:
    """The tokenizer without tokens beyond the rows of the embedding, and the names of those."""
    if rows is None:
        return backend, []
    vocabulary = backend.get_vocab(with_added_tokens=True)
    if max(vocabulary.values(), default=0) >= MAX_VOCABULARY:
        return backend, []  # to be refused
    beyond = sorted((token for token in vocabulary if vocabulary[token] >= rows), key=vocabulary.__getitem__)
    return (within_rows(backend, rows, str(path)) if beyond else backend), beyond


def _mark_control(backend: tokenizers.Tokenizer, stated: Iterable[int], *, bytes_: bool) -> dict[str, int]:
    """Makes control tokens of those that are so by flag, shape, name or role; gives their ids by name.

    Markers that are in the vocabulary and were never added are added, unless they are words of it.
    """
    added = backend.get_added_tokens_decoder()
    ids = backend.get_vocab(with_added_tokens=True)
    missing = (marker_ids(ids) | set(stated)).difference(added)
    markers = [token for token in sorted(missing) if backend.id_to_token(token) is not None]
    markers = [token for token in markers if not is_word(backend, token, bytes_=bytes_)]
    backend.add_tokens(
        [AddedToken(backend.id_to_token(token), normalized=False, special=True) for token in markers]
    )
    added = backend.get_added_tokens_decoder()
    steers = set(stated)
    control = {
        token.content: index
        for index, token in added.items()
        if token.special
        or looks_like_control(token.content)
        or token.content in SURE_NAMES
        or index in steers
    }
    backend.add_tokens(
        [
            AddedToken(
                token.content,
                single_word=token.single_word,
                lstrip=token.lstrip,
                rstrip=token.rstrip,
                normalized=token.normalized,
                special=True,
            )
            for token in added.values()
            if (token.content in control or token.content in NAMES) and not token.special
        ]
    )
    return control


def _kind(backend: tokenizers.Tokenizer, path: Path) -> tuple[Kind, bool]:
    """How tokens stand for bytes, and whether decoding takes a leading space off.

    Raises:
        UserError: the decoder is of a kind that no decoder-only language model uses.
    """
    steps = list(_flatten(json.loads(backend.decoder.__getstate__()) if backend.decoder else {}))
    types = {str(step.get("type")) for step in steps}
    if "ByteLevel" in types:
        return "byte-level", False
    strips = any(step.get("type") == "Strip" and step.get("start", 0) > 0 for step in steps)
    metaspaces = [step for step in steps if step.get("type") == "Metaspace"]
    if metaspaces:
        return "sentencepiece", strips or metaspaces[0].get("prepend_scheme", "always") != "never"
    if "Replace" in types or "ByteFallback" in types:
        return "sentencepiece", strips
    raise UserError(
        f"{path} decodes tokens in a way that chatterm does not know ({', '.join(sorted(types))}); it reads "
        "byte-level BPE and SentencePiece vocabularies."
    )


def _flatten(step: Any) -> Iterable[dict[str, Any]]:
    """A decoder and, if it is a sequence, all that it holds."""
    if isinstance(step, dict):
        yield step
        for part in step.get("decoders", ()):
            yield from _flatten(part)


def _add_tokens(
    backend: tokenizers.Tokenizer,
    folder: Path,
    config: Mapping[str, Any],
    named: NamedTokens,
    rows: int | None,
) -> None:
    """Adds what only the side files know: `added_tokens_decoder`, `added_tokens.json`, the special tokens."""
    known = {token.content for token in backend.get_added_tokens_decoder().values()}
    stated = config.get("added_tokens_decoder")
    wanted: dict[int, AddedToken] = {}
    for name, number in read_json_if_there(folder, "added_tokens.json").items():
        if isinstance(number, int):
            wanted[number] = AddedToken(name, normalized=False)
    for key, token in stated.items() if isinstance(stated, dict) else ():
        if str(key).isdecimal() and isinstance(token, dict) and content(token):
            flags = {
                flag: bool(token.get(flag, False)) for flag in ("single_word", "lstrip", "rstrip", "special")
            }
            wanted[int(key)] = AddedToken(
                token["content"], normalized=bool(token.get("normalized", not flags["special"])), **flags
            )
    check_added([token.content for token in wanted.values()], str(folder))
    size, added = backend.get_vocab_size(with_added_tokens=True), []
    for index, token in sorted(wanted.items()):
        if token.content in known:
            continue
        if backend.token_to_id(token.content) is None:
            if index != size:
                continue  # a gap before it: its number cannot be kept
            size += 1
        known.add(token.content)
        added.append(token)
    backend.add_tokens(added)  # together: each call builds the search for all of them anew
    known = {token.content for token in backend.get_added_tokens_decoder().values()}
    for name in dict.fromkeys((*named.names.values(), *named.others)):
        is_new = backend.token_to_id(name) is None
        has_row = rows is not None and backend.get_vocab_size(with_added_tokens=True) < rows
        if name not in known and (has_row or not is_new):  # as transformers does, in this order
            backend.add_tokens([AddedToken(name, normalized=False, special=True)])


def _id(backend: tokenizers.Tokenizer, name: str | None) -> int | None:
    found: int | None = backend.token_to_id(name) if name is not None else None
    return found


def _stated_ends(eos: int | None, folder: Path) -> set[int]:
    """End tokens from the tokenizer's own files, `generation_config.json` and `config.json` together."""
    ends: list[Any] = [eos]
    for file in ("generation_config.json", "config.json"):
        value = read_json_if_there(folder, file).get("eos_token_id")
        ends += value if isinstance(value, list) else [value]
    return {end for end in ends if isinstance(end, int) and not isinstance(end, bool) and end >= 0}
