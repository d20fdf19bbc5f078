"""A conversation as ChatGPT exports it."""

from __future__ import annotations

from typing import Any

DATED = 1_500_000_000.0  # when the file was written, for what has no date of its own


def node(parent: str | None, role: str, text: str | None, **more: Any) -> dict[str, Any]:
    content = more.pop("content", {"content_type": "text", "parts": [text]})
    message = {"author": {"role": role}, "content": content, "create_time": 1_700_000_000.5, **more}
    return {"parent": parent, "children": [], "message": message}


def chatgpt(**nodes: Any) -> dict[str, Any]:
    return {
        "title": "A talk",
        "create_time": 1_699_999_999.25,
        "update_time": 1_700_000_100.0,
        "current_node": "b1",
        "default_model_slug": "gpt-4o",
        "mapping": {"root": {"parent": None, "children": ["s"], "message": None}, **nodes},
    }
