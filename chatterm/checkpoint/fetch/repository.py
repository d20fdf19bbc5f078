"""What the hub says about a repository: facts for people, read leniently from somebody else's JSON.

Every text is made inert and cut to a length that a screen can hold; what has another type than it should is
as if it were not there.
"""

from __future__ import annotations

import re
from typing import Any

from chatterm import inert
from chatterm.checkpoint.families.refused import refuse_config, refuse_gguf
from chatterm.checkpoint.locate import HUB_ID
from chatterm.errors import UserError
from chatterm.records.supply import Format, HubRepository

LONGEST = 200
"""Characters of a text that somebody else chose."""

MOST_TAGS = 2000
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NOT_TEXT = frozenset(
    {
        *("feature-extraction", "sentence-similarity", "text-classification", "token-classification"),
        *("fill-mask", "text-ranking", "text-to-image", "image-classification", "text-to-speech"),
        *("automatic-speech-recognition",),
    }
)

FORMATS: tuple[Format, ...] = ("gguf", "safetensors")


def facts_of(raw: object) -> HubRepository | None:
    """The facts in one entry of the hub's answer; None where it is none that could be fetched from."""
    if not isinstance(raw, dict):
        return None
    name = raw.get("id") or raw.get("modelId")
    if not isinstance(name, str) or len(name) > LONGEST or _is_odd(name):
        return None
    listed = raw.get("tags")
    tags = [tag for tag in listed[:MOST_TAGS] if isinstance(tag, str)] if isinstance(listed, list) else []
    formats = [kind for kind in FORMATS if kind in tags or isinstance(raw.get(kind), dict)]
    licence, url = _licence(_table(raw, "cardData"), tags)
    gguf, safetensors = _table(raw, "gguf"), _table(raw, "safetensors")
    config = _table(raw, "config")
    family = _text(gguf, "architecture") or _text(config, "model_type")
    return HubRepository(
        repository=name,
        formats=tuple(formats),
        downloads=_number(raw, "downloads"),
        likes=_number(raw, "likes"),
        licence=licence,
        licence_url=url,
        modified=_date(raw.get("lastModified")),
        gated=raw.get("gated") not in (None, False),
        private=raw.get("private") is True,
        parameters=_number(gguf, "total") or _number(safetensors, "total"),
        family=family,
        problem=_problem(gguf, config, raw.get("pipeline_tag")),
    )


def _is_odd(name: str) -> bool:
    found = HUB_ID.fullmatch(name)
    return found is None or found["choice"] is not None


def _licence(card: dict[str, Any], tags: list[str]) -> tuple[str, str]:
    """What it is called, and where it is written; `other` has its name elsewhere."""
    stated = card.get("license")
    names = stated if isinstance(stated, list) else [stated]
    found = [name for name in names if isinstance(name, str) and name]
    found = found or [tag.removeprefix("license:") for tag in tags if tag.startswith("license:")]
    if found == ["other"] and (own := _text(card, "license_name")):
        found = [own]
    url = _text(card, "license_link")
    return shortened(", ".join(found)), url if url.startswith("https://") else ""


def _problem(gguf: dict[str, Any], config: dict[str, Any], task: object) -> str:
    """The sentence with which it would be refused after it was downloaded."""
    where = "This repository"
    try:
        if architecture := gguf.get("architecture"):
            refuse_gguf({"general.architecture": architecture}, where)
        elif isinstance(config.get("model_type"), str):
            refuse_config(config, where)
    except UserError as error:
        return shortened(f"{error.sentence.split(';')[0].rstrip('.')}.")  # without the list of what does run
    if isinstance(task, str) and task in _NOT_TEXT:
        return shortened(f"{where} is for {task.replace('-', ' ')}, not for chatting.")
    return ""


def _table(raw: dict[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def _text(raw: dict[str, Any], key: str) -> str:
    value = raw.get(key)
    return shortened(value) if isinstance(value, str) else ""


def _number(raw: dict[str, Any], key: str) -> int | None:
    value = raw.get(key)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
    return value if is_count else None


def _date(value: object) -> str:
    return value[:10] if isinstance(value, str) and _DATE.fullmatch(value[:10]) else ""


def shortened(text: str) -> str:
    """A text that somebody else chose, inert and short enough for a line."""
    line = inert.line(text[: 2 * LONGEST])
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
