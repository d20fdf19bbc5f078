"""All campaigns by name; each module is imported only when it is run."""

from __future__ import annotations

from importlib import import_module

from tests.faults.campaign import Campaign

NAMES: tuple[str, ...] = (
    "disk",
    "downloads",
    "terminal_abuse",
    "kill",
    "engine_death",
    "checkpoints",
    "templates",
    "keyboard",
    "soak",
    "strings",
    "records",
    "layouts",
)
"""Modules of this folder, each with a `CAMPAIGN`."""


def campaign(name: str) -> Campaign:
    """A campaign."""
    found: Campaign = import_module(f"tests.faults.{name}").CAMPAIGN
    return found
