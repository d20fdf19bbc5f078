"""Names that somebody else chose, as text that is safe to print."""

from __future__ import annotations


def printable(text: str, limit: int = 200) -> str:
    """`text` as inert text on one line: control characters escaped, the end of very long ones left off."""
    shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
