"""What a shell offers after Tab: conversations, presets, models. Whatever goes wrong, it offers nothing."""

from __future__ import annotations

from contextlib import suppress

import click
from click.shell_completion import CompletionItem

from chatterm import inert
from chatterm.errors import UserError
from chatterm.language import _


def conversations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Numbers of conversations, with their titles."""
    return _conversations(incomplete, deleted=False)


def deleted_conversations(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Numbers of conversations that can be brought back."""
    return _conversations(incomplete, deleted=True)


def presets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of presets, with what they are for."""
    from chatterm.presets import load_presets

    return [
        CompletionItem(preset.name, help=_line(preset.description))
        for preset in load_presets().presets
        if preset.name.casefold().startswith(incomplete.casefold())
    ]


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the catalog and of the user's own models; paths, where it looks like one."""
    from chatterm import paths
    from chatterm.checkpoint.catalog import DEFAULT, catalog

    if incomplete.startswith((".", "/", "~")):
        return [CompletionItem(incomplete, type="file")]
    names = {DEFAULT: _("the default model")} | {entry.name: entry.title for entry in catalog()}
    with suppress(OSError):
        for file in paths.user_models_folder().iterdir():
            if file.is_dir() or file.suffix == ".gguf":
                names.setdefault(file.name, _("your own"))
    return [
        CompletionItem(_line(name), help=_line(title))
        for name, title in sorted(names.items())
        if name.casefold().startswith(incomplete.casefold())
    ]


def _conversations(incomplete: str, *, deleted: bool) -> list[CompletionItem]:
    from chatterm.library import Library

    try:
        with Library() as library:
            found = library.conversations(deleted=deleted)
    except UserError:
        return []
    return [
        CompletionItem(str(conversation.id), help=_line(conversation.title))
        for conversation in found
        if str(conversation.id).startswith(incomplete)
    ]


def _line(text: str) -> str:
    return inert.line(text)
