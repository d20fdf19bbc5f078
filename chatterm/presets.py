"""Presets: a system prompt and sampling values under a name.

A preset of the user's is one file, `presets/NAME.toml` in the settings' folder, so that a bad one hides no
other, and several can be shared or put there by hand. A few come with the program; one of the user's of the
same name takes the place of such a one until it is deleted. Names are told apart without regard to case.

    description = "Answers in one sentence."
    system_prompt = "Answer in one short sentence."

    [sampling]
    temperature = 0.3
"""

from __future__ import annotations

import difflib
import unicodedata
from pathlib import Path
from typing import Any

import msgspec

from chatterm import inert, paths, toml
from chatterm.errors import UserError
from chatterm.language import mark
from chatterm.sampling import SamplingParameters

MAX_NAME = 40
SUFFIX = ".toml"
_ALSO_IN_NAMES = " -_"


class _File(msgspec.Struct, forbid_unknown_fields=True):
    description: str = ""
    system_prompt: str | None = None
    sampling: dict[str, Any] = {}


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """A named way of talking.

    Attributes:
        name: what it is called.
        description: one line about it.
        system_prompt: the system prompt; None leaves it as it is, "" talks without one.
        sampling: fields of `SamplingParameters` that it sets; the others stay as they are.
        is_builtin: it came with the program and has no file.
    """

    name: str
    description: str = ""
    system_prompt: str | None = None
    sampling: dict[str, Any] = {}
    is_builtin: bool = False

    def over(self, starting: SamplingParameters) -> SamplingParameters:
        """The starting values with the preset's in their place.

        Raises:
            UserError: a value cannot be used.
        """
        try:
            return starting.replace(**self.sampling)
        except msgspec.ValidationError as error:
            raise UserError(f"The preset {self.name} cannot be used: {error}.") from error


BUILTIN = (
    Preset(
        name="precise",
        description=mark("The most probable words; for facts, code and counting."),
        sampling={"temperature": 0.0},
        is_builtin=True,
    ),
    Preset(
        name="brief",
        description=mark("One or two plain sentences."),
        system_prompt="You are a helpful assistant. Answer in one or two short, plain sentences.",
        sampling={"temperature": 0.3},
        is_builtin=True,
    ),
    Preset(
        name="creative",
        description=mark("Less expected words, held together by min-p."),
        sampling={"temperature": 1.2, "top_k": 0, "top_p": 1.0, "min_p": 0.08},
        is_builtin=True,
    ),
    Preset(
        name="translator",
        description=mark("Between English and Chinese, nothing but the translation."),
        system_prompt=(
            "You translate. Translate what the user writes into Chinese if it is English, and into English "
            "if it is Chinese. Answer with the translation only."
        ),
        sampling={"temperature": 0.2},
        is_builtin=True,
    ),
    Preset(
        name="raw",
        description=mark("The model's own distribution, uncut, and no system prompt."),
        system_prompt="",
        sampling={"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0},
        is_builtin=True,
    ),
)


class Presets(msgspec.Struct, frozen=True):
    """All presets there are, by name, and sentences about files that cannot be used."""

    presets: tuple[Preset, ...]
    problems: tuple[str, ...] = ()


def presets_folder() -> Path:
    """Where the user's presets are kept."""
    return paths.config_folder() / "presets"


def load_presets() -> Presets:
    """The presets that came with the program and the user's. Never raises: a bad file is a problem told."""
    found = {_key(preset.name): preset for preset in BUILTIN}
    problems = []
    try:
        files = sorted(file for file in presets_folder().iterdir() if file.suffix == SUFFIX)
    except FileNotFoundError:
        files = []
    except OSError as error:
        files, problems = [], [f"The presets in {presets_folder()} cannot be listed ({error.strerror})."]
    for file in files:
        try:
            preset = _read(file)
        except UserError as error:
            problems.append(error.sentence)
        else:
            found[_key(preset.name)] = preset
    return Presets(tuple(sorted(found.values(), key=lambda preset: _key(preset.name))), tuple(problems))


def load_preset(name: str) -> Preset:
    """One preset.

    Raises:
        UserError: there is none of this name, or its file cannot be used.
    """
    if file := _file(name):
        return _read(file)
    for preset in BUILTIN:
        if _key(preset.name) == _key(name):
            return preset
    names = [preset.name for preset in load_presets().presets]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}."
    raise UserError(f"No preset is called {inert.line(name)}: {hint}")


def save_preset(preset: Preset, *, replace: bool = False) -> Path:
    """Write a preset of the user's, whole or not at all; where it is.

    Args:
        preset: what to save.
        replace: in place of one of the user's of this name, if there is one.

    Raises:
        UserError: the name or a value cannot be used, there is one of this name, or it cannot be written.
    """
    name = checked_name(preset.name)
    preset.over(SamplingParameters())  # refuses values out of range
    old = _file(name)
    if old is not None and not replace:
        raise UserError(f"There is a preset called {old.stem}: choose another name, or replace it.")
    target = old or presets_folder() / f"{name}{SUFFIX}"
    text = _toml(preset)
    if len(text) > toml.MAX_BYTES:
        raise UserError(f"The preset {name} is too large: up to {toml.MAX_BYTES >> 10} kB are kept.")
    try:
        paths.make_private(target.parent)
        paths.write_private(target, text)
    except OSError as error:
        raise UserError(f"The preset cannot be saved to {target} ({error.strerror}).") from error
    return target


def delete_preset(name: str) -> Preset:
    """Delete a preset of the user's; what it was. One that came with the program shows again.

    Raises:
        UserError: there is none, it came with the program, or it cannot be deleted.
    """
    preset, file = _users(name, "deleted")
    try:
        file.unlink()
    except OSError as error:
        raise UserError(f"The preset {file} cannot be deleted ({error.strerror}).") from error
    return preset


def rename_preset(old: str, new: str) -> Preset:
    """Give a preset of the user's another name; the renamed one.

    Raises:
        UserError: there is none, it came with the program, the new name is taken or cannot be used.
    """
    preset, file = _users(old, "renamed")
    name = checked_name(new)
    if (taken := _file(name)) is not None and taken != file:
        raise UserError(f"There is a preset called {taken.stem}: choose another name.")
    try:
        file.rename(file.with_name(f"{name}{SUFFIX}"))
    except OSError as error:
        raise UserError(f"The preset {file} cannot be renamed ({error.strerror}).") from error
    return msgspec.structs.replace(preset, name=name)


def checked_name(name: str) -> str:
    """A name that can be a preset's and a file's.

    Raises:
        UserError: it cannot; the sentence says what a name consists of.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > MAX_NAME or not all(c.isalnum() or c in _ALSO_IN_NAMES for c in name):
        raise UserError(
            f"A preset cannot be called {inert.line(name)!r}: a name has up to {MAX_NAME} letters, digits, "
            "spaces, - and _."
        )
    return name


def _users(name: str, what: str) -> tuple[Preset, Path]:
    file = _file(name)
    if file is None:
        preset = load_preset(name)
        raise UserError(f"The preset {preset.name} came with chatterm and cannot be {what}.")
    try:
        return _read(file), file
    except UserError:
        return Preset(name=file.stem), file


def _file(name: str) -> Path | None:
    """The user's file for a name, whatever its case."""
    try:
        files = [file for file in presets_folder().iterdir() if file.suffix == SUFFIX]
    except OSError:
        return None
    return next((file for file in sorted(files) if _key(file.stem) == _key(name)), None)


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _read(file: Path) -> Preset:
    name = checked_name(file.stem)
    try:
        found = msgspec.convert(toml.load(file), _File)
        SamplingParameters().replace(**found.sampling)
    except (OSError, ValueError, TypeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(
            inert.line(f"The preset {file} cannot be used ({why}): mend or remove it.")
        ) from error
    return Preset(
        name=name,
        description=found.description,
        system_prompt=found.system_prompt,
        sampling=found.sampling,
    )


def _toml(preset: Preset) -> bytes:
    import tomli_w

    sampling = dict(preset.sampling)
    if isinstance(bias := sampling.get("logit_bias"), dict):
        sampling["logit_bias"] = {str(token): value for token, value in bias.items()}
    document: dict[str, Any] = {"description": preset.description} if preset.description else {}
    if preset.system_prompt is not None:
        document["system_prompt"] = preset.system_prompt
    if sampling:
        document["sampling"] = sampling
    try:
        return tomli_w.dumps(document).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"The preset {preset.name} holds half a character: write it anew.") from error
