"""The one typed schema of what a user can set: defaults, `config.toml`, environment, flags.

Later wins: the defaults below, then the file `config.toml` in `paths.config_folder()`, then environment
variables `CHATTERM_<FIELD>`, then flags of the command line.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli_w
from msgspec import Meta

from chatterm import paths
from chatterm.errors import UserError
from chatterm.language import Choice, mark


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Everything a user can set. A field's `Meta` carries its title and description for the screen."""

    model: Annotated[str, Meta(title="Model", description="Loaded at start: a name, path or hub id.")] = (
        "default"
    )
    device: Annotated[str, Meta(title="Device", description="auto, cpu, cuda, cuda:N or mps.")] = "auto"
    exact: Annotated[
        bool,
        Meta(title=mark("Exact"), description=mark("Compute everything in float32, at the cost of speed.")),
    ] = False
    quantise: Annotated[
        Literal["none", "int8", "int4"],
        Meta(
            title=mark("Quantise"),
            description=mark("Round dense weights to so few bits while loading; smaller, less exact."),
        ),
    ] = "none"
    threads: Annotated[
        int, Meta(ge=0, le=64, title=mark("Threads"), description=mark("Of the processor; 0 = as measured."))
    ] = 0
    theme: Annotated[str, Meta(title="Theme", description="Name of a theme; auto follows the terminal.")] = (
        "chatterm-dark"
    )
    system_prompt: Annotated[
        str, Meta(title="System prompt", description="What every new conversation begins with; may be empty.")
    ] = ""
    candidates: Annotated[
        int, Meta(ge=1, le=200, title="Candidates", description="Rows of the next-token panel.")
    ] = 10
    model_folders: Annotated[
        tuple[str, ...],
        Meta(title="Model folders", description="Further folders to look for checkpoints in."),
    ] = ()
    sampling: Annotated[
        dict[str, Any],
        Meta(title="Sampling", description="Sampling values that win over the checkpoint's own."),
    ] = {}
    resume: Annotated[
        Literal["new", "last"],
        Meta(title="At start", description="Begin anew or open the last conversation."),
    ] = "new"
    language: Annotated[
        Choice, Meta(title=mark("Language"), description=mark("Of the interface; auto follows the locale."))
    ] = "auto"
    next_token_panel: Annotated[bool, Meta(title="Next-token panel", description="Shown at start.")] = True


def settings_file() -> Path:
    """Where the settings are kept."""
    return paths.config_folder() / "config.toml"


def load_settings(**flags: object) -> Settings:
    """The settings in force; `flags` that are None are left out.

    Raises:
        UserError: the file or a value cannot be used; the sentence names the place.
    """
    file = settings_file()
    values: dict[str, object] = {}
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(
            f"The settings in {file} cannot be read ({error}); mend or remove the file."
        ) from error
    _check(values, f"in {file}")
    environment = {
        name: os.environ[variable]
        for name in Settings.__struct_fields__
        if (variable := f"CHATTERM_{name.upper()}") in os.environ
    }
    _check(environment, "in the environment")
    given = {name: value for name, value in flags.items() if value is not None}
    return _check({**values, **environment, **given}, "on the command line")


def save_settings(settings: Settings) -> None:
    """Write what differs from the defaults, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    file = settings_file()
    text = tomli_w.dumps(msgspec.to_builtins(settings))
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".config-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            Path(temporary).replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise UserError(f"The settings cannot be saved to {file} ({error.strerror}).") from error


def _check(values: Mapping[str, object], where: str) -> Settings:
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise UserError(f"A setting {where} cannot be used: {error}.") from error
