"""Presets on disk."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatterm.errors import UserError
from chatterm.presets import (
    BUILTIN,
    Preset,
    delete_preset,
    load_preset,
    load_presets,
    presets_folder,
    rename_preset,
    save_preset,
)
from chatterm.sampling import SamplingParameters


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHATTERM_CONFIG", str(tmp_path / "config"))
    return presets_folder()


POET = Preset(
    name="Poet 诗人", description="d", system_prompt="Rhyme.\nAlways.", sampling={"temperature": 1.1}
)


def names() -> list[str]:
    return [preset.name for preset in load_presets().presets]


def test_those_that_come_with_the_program_can_be_used() -> None:
    starting = SamplingParameters(seed=7)
    for preset in BUILTIN:
        assert load_preset(preset.name.upper()) == preset
        assert preset.over(starting).seed == 7
    assert load_presets().problems == ()


def test_saved_and_loaded_whatever_the_case() -> None:
    path = save_preset(POET)
    assert load_preset("poet 诗人") == POET
    assert path.stat().st_mode & 0o077 == 0
    assert [file.name for file in path.parent.iterdir()] == ["Poet 诗人.toml"]


def test_nothing_is_replaced_unasked() -> None:
    save_preset(POET)
    with pytest.raises(UserError, match="There is a preset called Poet"):
        save_preset(Preset(name="POET 诗人"))
    save_preset(Preset(name="POET 诗人", description="new"), replace=True)
    assert load_preset("Poet 诗人").description == "new"
    assert names().count("Poet 诗人") == 1


def test_one_that_came_with_the_program_can_be_covered_and_shows_again() -> None:
    save_preset(Preset(name="brief", system_prompt="Be brief!"))
    assert load_preset("brief").system_prompt == "Be brief!"
    assert delete_preset("brief").system_prompt == "Be brief!"
    assert load_preset("brief").is_builtin
    with pytest.raises(UserError, match="came with chatterm"):
        delete_preset("brief")


def test_renaming() -> None:
    save_preset(POET)
    save_preset(Preset(name="Other"))
    with pytest.raises(UserError, match="There is a preset called Other"):
        rename_preset("Poet 诗人", "other")
    assert rename_preset("poet 诗人", "Bard").system_prompt == POET.system_prompt
    assert "Bard" in names() and "Poet 诗人" not in names()
    assert rename_preset("Bard", "BARD").name == "BARD"


@pytest.mark.parametrize(
    "text",
    [
        b"[",
        b"\xff",
        b"sampling = 3",
        b"unknown = 1",
        b"[sampling]\nheat = 1",
        b"[sampling]\ntemperature = -1",
    ],
)
def test_a_bad_file_is_a_sentence_and_stays(folder: Path, text: bytes) -> None:
    save_preset(POET)
    bad = folder / "bad.toml"
    bad.write_bytes(text)
    loaded = load_presets()
    assert POET in loaded.presets
    (problem,) = loaded.problems
    assert str(bad) in problem and "mend or remove" in problem and problem.isprintable()
    with pytest.raises(UserError, match=r"bad\.toml"):
        load_preset("bad")
    with pytest.raises(UserError, match="There is a preset called bad"):
        save_preset(Preset(name="Bad"))
    assert bad.read_bytes() == text


def test_values_out_of_range_are_not_saved(folder: Path) -> None:
    with pytest.raises(UserError, match="temperature"):
        save_preset(Preset(name="hot", sampling={"temperature": 1e9}))
    assert not folder.exists()


@pytest.mark.parametrize("name", ["", "  ", "a/b", "../up", ".hidden", "a\nb", "x" * 41, "a\u202eb", "nul\0"])
def test_names_are_those_of_files(name: str) -> None:
    with pytest.raises(UserError, match="cannot be called"):
        save_preset(Preset(name=name))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean creative"):
        load_preset("creativ")


def test_a_failed_write_leaves_what_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_preset(POET)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="No space left"):
        save_preset(Preset(name=POET.name, description="new"), replace=True)
    assert load_preset(POET.name) == POET
    assert len(list(folder.iterdir())) == 1


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.none() | st.text(st.characters(codec="utf-8"), max_size=80),
    st.floats(0, 100),
    st.dictionaries(st.integers(0, 10**6), st.floats(allow_nan=False), max_size=3),
)
def test_what_is_saved_is_loaded(
    description: str, prompt: str | None, temperature: float, bias: dict[int, float]
) -> None:
    values = {"temperature": temperature, "logit_bias": bias}
    preset = Preset(name="p", description=description, system_prompt=prompt, sampling=values)
    save_preset(preset, replace=True)
    found = load_preset("p")
    assert (found.description, found.system_prompt) == (description, prompt)
    assert found.over(SamplingParameters()) == preset.over(SamplingParameters())


def test_infinite_bias_survives() -> None:
    save_preset(Preset(name="ban", sampling={"logit_bias": {5: -math.inf}}))
    assert load_preset("ban").over(SamplingParameters()).logit_bias == {5: -math.inf}
