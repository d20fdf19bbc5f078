"""The special tokens that a checkpoint folder names, as transformers reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from chatterm.checkpoint.files import read_json_if_there

ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""What every vocabulary may have; where it has not, templates write nothing."""

_MORE = ("extra_special_tokens", "additional_special_tokens")
"""Either a list of tokens, or a mapping of names for templates to tokens; the second is its older name."""

_OWN = "model_specific_special_tokens"


class NamedTokens(NamedTuple):
    """The special tokens of a folder.

    Attributes:
        names: by the names that templates know them by: "bos_token", "image_token", "boi" …
        others: without a name.
    """

    names: dict[str, str]
    others: tuple[str, ...]


def named_tokens(folder: Path, config: Mapping[str, Any]) -> NamedTokens:
    """From `tokenizer_config.json` and, in older checkpoints, `special_tokens_map.json`.

    The map goes before the configuration, unless that describes its added tokens: then the map is only asked
    for what the configuration does not name.
    """
    mapped = read_json_if_there(folder, "special_tokens_map.json")
    newer, older = (config, mapped) if "added_tokens_decoder" in config else (mapped, config)
    merged = {**older, **{key: value for key, value in newer.items() if value}}
    return NamedTokens(dict(_named(merged)), tuple(_unnamed(merged)))


def content(value: Any) -> str | None:
    """The text of a token that is written as a text, or as a mapping that has it as "content"."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) and text else None


def _named(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    own = [(key, value) for key, value in config.items() if key.endswith("_token") and key not in ROLES]
    roles = [(role, config.get(role)) for role in ROLES]
    mappings = [found for key in (*_MORE, _OWN) if isinstance(found := config.get(key), dict)]
    for name, value in (*roles, *own, *(pair for found in mappings for pair in found.items())):
        if (text := content(value)) is not None:
            yield name, text


def _unnamed(config: Mapping[str, Any]) -> Iterator[str]:
    for key in _MORE:
        listed = config.get(key)
        for value in listed if isinstance(listed, list) else ():
            if (text := content(value)) is not None:
                yield text
