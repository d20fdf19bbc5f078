"""The one typed schema of what a user can set: defaults, `config.toml`, environment, flags.

Later wins: the defaults below, then the file `config.toml` in `paths.config_folder()`, then environment
variables `CHATTERM_<FIELD>`, then flags of the command line. A variable holds a list separated like `PATH`,
and a table in TOML: `CHATTERM_SAMPLING='{temperature = 0.7}'`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from chatterm import paths, toml
from chatterm.errors import UserError
from chatterm.language import Choice, _, mark
from chatterm.sampling import MOST, SamplingParameters

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

Source = Literal["default", "file", "environment", "flag"]
"""Where a value in force comes from."""

LOCK_SECONDS = 1.0
"""For so long another window is waited for; it is quicker than that unless it is being held up."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Everything a user can set. A field's `Meta` carries its title and description for the screen."""

    model: Annotated[
        str, Meta(title=mark("Model"), description=mark("Loaded at start: a name, path or hub id."))
    ] = "default"
    device: Annotated[
        str, Meta(title=mark("Device"), description=mark("auto, cpu, cuda, cuda:N or mps."))
    ] = "auto"
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
    context: Annotated[
        int,
        Meta(
            ge=0,
            le=MOST,
            title=mark("Context"),
            description=mark(
                "Tokens of the context window; 0 = what the model was made for, as memory allows."
            ),
        ),
    ] = 0
    theme: Annotated[
        str,
        Meta(
            title=mark("Theme"),
            description=mark("Colours of the screen; auto is light or dark as the terminal is."),
        ),
    ] = "auto"
    system_prompt: Annotated[
        str,
        Meta(
            title=mark("System prompt"),
            description=mark("What every new conversation begins with; may be empty."),
        ),
    ] = ""
    candidates: Annotated[
        int, Meta(ge=1, le=200, title=mark("Candidates"), description=mark("Rows of the next-token panel."))
    ] = 10
    model_folders: Annotated[
        tuple[str, ...],
        Meta(title=mark("Model folders"), description=mark("Further folders to look for checkpoints in.")),
    ] = ()
    sampling: Annotated[
        dict[str, Any],
        Meta(title=mark("Sampling"), description=mark("Sampling values that win over the checkpoint's own.")),
    ] = {}
    resume: Annotated[
        Literal["new", "last"],
        Meta(title=mark("At start"), description=mark("Begin anew or open the last conversation.")),
    ] = "new"
    language: Annotated[
        Choice, Meta(title=mark("Language"), description=mark("Of the interface; auto follows the locale."))
    ] = "auto"
    next_token_panel: Annotated[
        bool, Meta(title=mark("Next-token panel"), description=mark("Shown at start, where there is room."))
    ] = True
    keys: Annotated[
        dict[str, Any],
        Meta(
            title=mark("Keys"),
            description=mark("Actions and the keys you want for them; docs/keys.md lists the actions."),
        ),
    ] = {}


def settings_file() -> Path:
    """Where the settings are kept."""
    return paths.config_folder() / "config.toml"


def load_settings(**flags: object) -> Settings:
    """The settings in force; `flags` that are None are left out.

    Raises:
        UserError: the file or a value cannot be used; the sentence names the place.
    """
    values = _from_file()
    environment = _from_environment()
    given = {name: value for name, value in flags.items() if value is not None}
    return _check({**values, **environment, **given}, _("on the command line"))


def source(settings: Settings, name: str) -> Source:
    """Where the value of a field comes from.

    Raises:
        UserError: the file or a variable cannot be used.
    """
    value = getattr(settings, name)
    if name in (environment := _from_environment()):
        return "environment" if _value(environment, name) == value else "flag"
    if name in (file := _from_file()) and _value(file, name) == value:
        return "file"
    return "default" if value == getattr(Settings(), name) else "flag"


def variable(name: str) -> str:
    """The environment variable of a field."""
    return f"CHATTERM_{name.upper()}"


def from_text(name: str, text: str) -> object:
    """The value of a field that `text` stands for, as variables and the settings screen write it.

    Raises:
        UserError: it cannot be the value; the sentence says why.
    """
    default = getattr(Settings(), name)
    value: object = text
    if isinstance(default, tuple):
        value = [part.strip() for part in text.split(os.pathsep) if part.strip()]
    elif isinstance(default, dict):
        try:
            value = toml.parse(f"value = {text.strip() or '{}'}")["value"]
        except ValueError as error:
            raise UserError(
                _("This is no table like {{ temperature = 0.7 }} ({error}).").format(error=error)
            ) from error
    try:
        return getattr(_converted({name: value}), name)
    except msgspec.ValidationError as error:
        reason = str(error)
        if name != "sampling":  # of which it says the value that is wrong
            reason = reason.partition(" - at ")[0]
        raise UserError(_("This cannot be the value: {reason}.").format(reason=reason)) from error


def to_text(name: str, value: object) -> str:
    """The inverse of `from_text`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return os.pathsep.join(map(str, value))
    if isinstance(value, dict):
        import tomlkit

        table = tomlkit.inline_table()
        table.update(value)
        return table.as_string() if value else ""
    return str(value)


def save_setting(name: str, value: object) -> None:
    """Write one value into the file, or take it out if it is the default. The rest of the file, comments too,
    stays as it was; the file is replaced whole or not at all, and one window at a time does it.

    Raises:
        UserError: the file cannot be read or written, or could not be read again with this value in it.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    file = settings_file()
    try:
        paths.make_private(file.parent)
        with _alone(file.parent):
            document = tomlkit.parse(toml.text(file)) if file.exists() else tomlkit.document()
            _put(document, name, value)
            content = document.as_string().encode()
            _converted(toml.parse(toml.decoded(content)))  # as the next start will
            target = file.resolve()  # a link to the file stays one
            paths.make_private(target.parent)
            paths.write_private(target, content)
    except (OSError, ValueError, RecursionError, TOMLKitError) as error:
        raise UserError(
            _("The settings cannot be saved to {file} ({error}).").format(file=file, error=error)
        ) from error


def _put(document: TOMLDocument, name: str, value: object) -> None:
    if value == getattr(Settings(), name):
        document.pop(name, None)
        return
    value = msgspec.to_builtins(value)
    if not isinstance(value, dict) or not isinstance(document.get(name), dict):
        if name in document:
            document[name] = value
        else:
            document.add(name, value)
        return
    table = document[name]
    assert isinstance(table, dict)
    for key in set(table) - set(value):
        del table[key]
    for key, item in value.items():
        if table.get(key) != item:
            table[key] = item


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other windows from changing the file between reading and writing, where a lock can be had."""
    from filelock import FileLock

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, NotImplementedError):  # the time being over is an OSError too
            stack.enter_context(FileLock(folder / ".config.lock", timeout=LOCK_SECONDS, mode=0o600))
        yield


def _from_file() -> dict[str, object]:
    file = settings_file()
    values: dict[str, object] = {}
    try:
        values = toml.load(file)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise UserError(
            _("The settings in {file} cannot be read ({error}); mend or remove the file.").format(
                file=file, error=error
            )
        ) from error
    _check(values, _("in {file}").format(file=file))
    return values


def _from_environment() -> dict[str, object]:
    values = {}
    for name in Settings.__struct_fields__:
        if variable(name) in os.environ:
            try:
                values[name] = from_text(name, os.environ[variable(name)])
            except UserError as error:
                raise UserError(f"{variable(name)}: {error.sentence}") from error
    return values


def _value(values: Mapping[str, object], name: str) -> object:
    return getattr(msgspec.convert({name: values[name]}, Settings, strict=False), name)


def _check(values: Mapping[str, object], where: str) -> Settings:
    try:
        return _converted(values)
    except msgspec.ValidationError as error:
        raise UserError(
            _("A setting {where} cannot be used: {error}.").format(where=where, error=error)
        ) from error


def _converted(values: Mapping[str, object]) -> Settings:
    """The settings of such values, with sampling values that can be used.

    Raises:
        msgspec.ValidationError: they are none; the message names the place.
    """
    settings = msgspec.convert(values, Settings, strict=False)
    try:
        SamplingParameters().replace(**settings.sampling)
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(str(error).replace("`$", "`$.sampling")) from error
    except TypeError as error:  # of `replace` itself, which has one argument that is no field
        raise msgspec.ValidationError("Object contains unknown field `self` - at `$.sampling`") from error
    return settings
