"""Settings, presets, the layout and the keys, written by somebody who did not know what they are."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import msgspec
import tomli_w
from click.testing import CliRunner

from chatterm.cli import main
from chatterm.errors import UserError
from chatterm.presets import load_preset, load_presets
from chatterm.sampling import SamplingParameters
from chatterm.settings import Settings, load_settings, save_setting
from chatterm.tui import keys
from chatterm.tui.keys import keymap
from chatterm.tui.layout import Layout, Side, load_layout
from tests.faults.corpus import attack, file_name, writable
from tests.faults.hostile import home
from tests.faults.odd import check_sentence, mangled, value


def case(numbers: random.Random, folder: Path) -> str:
    """One file of settings."""
    with home(folder), _few_seconds():
        return numbers.choice((_settings, _settings, _environment, _presets, _layout, _keys))(numbers, folder)


@contextmanager
def _few_seconds() -> Iterator[None]:
    began = time.process_time()
    yield
    assert time.process_time() - began < 20, "it took over 20 s of the processor"


def _settings(numbers: random.Random, folder: Path) -> str:
    file = folder / "config" / "config.toml"
    file.parent.mkdir()
    how = numbers.choice(("values", "values", "bytes", "depth", "size", "no file"))
    if how == "no file":
        file.mkdir()
    else:
        file.write_bytes(_toml(numbers, how))
    before = file.read_bytes() if file.is_file() else b""
    try:
        settings = load_settings()
    except UserError as error:
        check_sentence(error.sentence)
        what = "refused"
    else:
        what = "taken"
        assert msgspec.convert(msgspec.to_builtins(settings), Settings) == settings
        for complaint in keymap.read(settings.keys).complaints:
            check_sentence(complaint)
    result = CliRunner().invoke(main, ["history", "list"])
    assert result.exit_code == 0, (
        f"the rest of the program does not run: {result.output} {result.exception!r}"
    )
    try:
        save_setting("theme", "chatterm-dark")
    except UserError as error:
        check_sentence(error.sentence)
        assert (file.read_bytes() if file.is_file() else b"") == before, (
            "what could not be read was overwritten"
        )
    return f"settings file: {what}"


def _toml(numbers: random.Random, how: str) -> bytes:
    names = list(Settings.__struct_fields__)
    document: dict[str, Any] = {name: _writable(value(numbers)) for name in numbers.sample(names, 3)}
    if numbers.random() < 0.3:
        document[writable(attack(numbers, 60))] = 1
    if numbers.random() < 0.3:
        document["sampling"] = {
            name: _writable(value(numbers)) for name in SamplingParameters.__struct_fields__[:4]
        }
    document = {name: item for name, item in document.items() if item is not None}
    match how:
        case "bytes":
            return mangled(
                numbers, b'model = "x"\n[sampling]\ntemperature = 0.7\n' + tomli_w.dumps({}).encode()
            )
        case "depth":
            depth = numbers.choice((50, 500, 5_000, 100_000))
            return numbers.choice(
                (b"[" + b"a." * depth + b"a]\n", b"x = " + b"[" * depth, b"x = " + b"{a=" * depth)
            )
        case "size":
            return numbers.choice((b"# x\n", b"x = 1\n", b'model = "', b"\0")) * (
                numbers.choice((300_000, 5_000_000))
            )
    try:
        return tomli_w.dumps(document).encode()
    except (TypeError, ValueError, RecursionError):
        return json.dumps(document).encode()


def _writable(item: Any) -> Any:
    """What TOML can hold: no nulls."""
    if isinstance(item, dict):
        return {name: _writable(inner) for name, inner in item.items() if inner is not None}
    if isinstance(item, list):
        return [_writable(inner) for inner in item if inner is not None] if len(item) > 1 else item
    return item


def _environment(numbers: random.Random, folder: Path) -> str:
    name = numbers.choice(list(Settings.__struct_fields__))
    variable = f"CHATTERM_{name.upper()}"
    given = str(value(numbers)).replace("\0", "")[:50_000]
    before = os.environ.get(variable)
    os.environ[variable] = writable(given)
    try:
        load_settings()
    except UserError as error:
        check_sentence(error.sentence)
        return "an environment variable: refused"
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
    return "an environment variable: taken"


def _presets(numbers: random.Random, folder: Path) -> str:
    presets = folder / "config" / "presets"
    presets.mkdir(parents=True)
    names = [f"{file_name(numbers)}.toml" for _ in range(3)] + ["mine.toml", "precise.toml"]
    for name in names:
        how = numbers.choice(("values", "bytes", "depth", "size"))
        fields = {
            "description": value(numbers),
            "system_prompt": value(numbers),
            "sampling": {"top_k": value(numbers)},
        }
        try:
            data = tomli_w.dumps(_writable(fields)).encode() if how == "values" else _toml(numbers, how)
        except (TypeError, ValueError, RecursionError):
            data = json.dumps(fields).encode()
        if len(presets.joinpath(name).name.encode()) < 250:
            (presets / name).write_bytes(data)
    (presets / "good.toml").write_text('system_prompt = "hello"\n')
    loaded = load_presets()
    for problem in loaded.problems:
        check_sentence(problem)
    assert load_preset("good").system_prompt == "hello"
    for preset in loaded.presets:
        preset.over(SamplingParameters())
    return "a folder of presets"


def _layout(numbers: random.Random, folder: Path) -> str:
    file = folder / "layout.json"
    fields = {name: value(numbers) for name in Layout.__struct_fields__}
    good = {"side": "bottom", "width": 44, "shown": True, "view": "lens"}
    data = json.dumps(numbers.choice((fields, good | {numbers.choice(list(good)): value(numbers)}))).encode()
    file.write_bytes(mangled(numbers, data) if numbers.random() < 0.5 else data)
    layout = load_layout(file)
    assert layout.side in get_args(Side)
    assert layout.width is None or 30 <= layout.width <= 1000
    assert layout.height is None or 8 <= layout.height <= 1000
    assert layout.shown in (None, True, False)
    return "layout.json"


def _keys(numbers: random.Random, folder: Path) -> str:
    wishes: dict[str, Any] = {}
    for key in numbers.sample(keys.KEYS, 3):
        wishes[key.id] = numbers.choice(
            (value(numbers), "ctrl+y", ["f7", "", "alt+x"], [], "+", "ctrl+", "escape")
        )
    wishes[writable(attack(numbers, 40))] = "f2"
    read = keymap.read(wishes)
    for complaint in read.complaints:
        check_sentence(complaint)
    for action, names in read.own.items():
        assert action in {key.id for key in keys.KEYS}
        assert names and all(isinstance(name, str) and name for name in names)
    return "the table of keys"
