"""Where a checkpoint keeps its chat template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from chatterm.checkpoint.files import inside, read_json_if_there, read_text
from chatterm.checkpoint.folders import entries
from chatterm.errors import UserError

_LARGEST_TEMPLATE = 1 << 18
_GGUF_KEY = "tokenizer.chat_template"
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Halves of characters: no text that is made of them could be sent or shown."""


class TemplateSource(NamedTuple):
    """The text of a template and the file or key that it comes from."""

    text: str
    source: str


def template_in_folder(folder: Path) -> TemplateSource | None:
    """The chat template of a checkpoint folder, or None.

    `chat_template.jinja` first, then `additional_chat_templates/`, then `tokenizer_config.json` (one, or a
    named list), then `chat_template.json`. Of named ones, "default" is meant for conversations.

    Raises:
        UserError: a template is unreadable or absurdly long.
    """
    if (path := inside(folder, "chat_template.jinja")).is_file():
        return _read(path)
    more = inside(folder, "additional_chat_templates")
    named = {path.stem: path for path in entries(more) if path.suffix == ".jinja"}
    if chosen := _choose(named):
        return _read(inside(folder, more.name, named[chosen].name))
    for file in ("tokenizer_config.json", "chat_template.json"):
        value = read_json_if_there(folder, file).get("chat_template")
        if isinstance(value, str) and value.strip():
            return _checked(value, file)
        if isinstance(value, list):
            templates = {
                str(entry["name"]): entry["template"]
                for entry in value
                if isinstance(entry, dict) and isinstance(entry.get("template"), str) and "name" in entry
            }
            if chosen := _choose(templates):
                return _checked(templates[chosen], f"{file}, template {chosen!r}")
    return None


def template_in_gguf(metadata: Mapping[str, Any]) -> TemplateSource | None:
    """The chat template in a GGUF file's metadata, or None.

    Raises:
        UserError: the template is absurdly long.
    """
    value = metadata.get(_GGUF_KEY)
    if isinstance(value, str) and value.strip():
        return _checked(value, _GGUF_KEY)
    prefix = _GGUF_KEY + "."
    named = {
        key.removeprefix(prefix): text
        for key, text in metadata.items()
        if key.startswith(prefix) and isinstance(text, str) and text.strip()
    }
    chosen = _choose(named)
    return _checked(named[chosen], prefix + chosen) if chosen else None


def _choose(named: Mapping[str, object]) -> str | None:
    """Which of several named templates is for plain conversations; None if none is."""
    if "default" in named:
        return "default"
    return next((name for name in named if name not in ("tool_use", "rag")), None)


def _read(path: Path) -> TemplateSource:
    return _checked(read_text(path, 4 * _LARGEST_TEMPLATE), path.name)


def _checked(text: str, source: str) -> TemplateSource:
    if len(text) > _LARGEST_TEMPLATE:
        raise UserError(f"The chat template in {source} is longer than any real one and is not used.")
    return TemplateSource(_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text), source)
