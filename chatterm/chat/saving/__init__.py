"""Saves the conversation as it happens, and brings saved ones back.

A chain of classes, a file each: `state` → `writing` → `keeper`.
"""

from __future__ import annotations

from chatterm.chat.saving.keeper import Keeper
from chatterm.chat.saving.state import OpenLibrary, open_library

__all__ = ["Keeper", "OpenLibrary", "open_library"]
