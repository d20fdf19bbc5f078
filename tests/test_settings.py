"""The settings: where a value comes from, what is refused, and that the user's file keeps its comments."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from chatterm import paths
from chatterm.errors import LONGEST, UserError
from chatterm.settings import (
    Settings,
    from_text,
    load_settings,
    save_setting,
    settings_file,
    source,
    to_text,
)


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch, tmp_path):
    for name in Settings.__struct_fields__:
        monkeypatch.delenv(f"CHATTERM_{name.upper()}", raising=False)
    monkeypatch.setenv("CHATTERM_CONFIG", str(tmp_path))


def write(text: str) -> None:
    settings_file().write_text(text, "utf-8")


def test_later_places_win_and_are_named(monkeypatch):
    assert source(load_settings(), "candidates") == "default"
    write("candidates = 20\n")
    assert (load_settings().candidates, source(load_settings(), "candidates")) == (20, "file")
    monkeypatch.setenv("CHATTERM_CANDIDATES", "30")
    assert (load_settings().candidates, source(load_settings(), "candidates")) == (30, "environment")
    settings = load_settings(candidates=40)
    assert (settings.candidates, source(settings, "candidates")) == (40, "flag")


def test_variables_hold_lists_tables_and_truth(monkeypatch):
    monkeypatch.setenv("CHATTERM_MODEL_FOLDERS", os.pathsep.join(["/a", "/b c"]))
    monkeypatch.setenv("CHATTERM_SAMPLING", "{temperature = 0.7, top_k = 5}")
    monkeypatch.setenv("CHATTERM_EXACT", "true")
    settings = load_settings()
    assert settings.model_folders == ("/a", "/b c")
    assert settings.sampling == {"temperature": 0.7, "top_k": 5}
    assert settings.exact is True
    assert source(settings, "sampling") == "environment"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("candidates", "0", ">= 1"),
        ("candidates", "many", "int"),
        ("exact", "perhaps", "bool"),
        ("quantise", "int2", "int2"),
        ("context", "-1", ">= 0"),
        ("context", "8k", "int"),
        ("context", "99999999999", "<= 2147483647"),
        ("sampling", "{temperature", "table"),
        ("sampling", "3", "Expected"),
        ("sampling", '{temperature = "hot"}', r"float.*sampling\.temperature"),
        ("sampling", "{temperature = -1}", r">= 0.*sampling\.temperature"),
        ("sampling", "{temprature = 1}", "temprature"),
        ("sampling", "{self = 1}", "self"),
        ("language", "fr", "fr"),
    ],
)
def test_what_cannot_be_a_value_is_refused_with_the_reason(name, text, says, monkeypatch):
    with pytest.raises(UserError, match=says):
        from_text(name, text)
    monkeypatch.setenv(f"CHATTERM_{name.upper()}", text)
    with pytest.raises(UserError, match=f"CHATTERM_{name.upper()}"):
        load_settings()


def test_saving_keeps_comments_order_and_other_values():
    write(
        '# mine\ntheme = "chatterm-light"  # bright room\n\n[sampling]\n# careful\ntemperature = 0.3\n'
        "top_k = 4\n"
    )
    save_setting("theme", "chatterm-dark")
    save_setting("candidates", 12)
    save_setting("sampling", {"temperature": 0.4})
    text = settings_file().read_text("utf-8")
    assert text.startswith('# mine\ntheme = "chatterm-dark"  # bright room\n')
    assert "# careful\ntemperature = 0.4\n" in text and "top_k" not in text
    settings = load_settings()
    assert (settings.theme, settings.candidates, settings.sampling) == (
        "chatterm-dark",
        12,
        {"temperature": 0.4},
    )
    assert {file.name for file in settings_file().parent.iterdir()} == {"config.toml", ".config.lock"}


def test_a_default_is_taken_out_of_the_file():
    save_setting("candidates", 12)
    save_setting("candidates", Settings().candidates)
    assert settings_file().read_text("utf-8").strip() == ""
    assert source(load_settings(), "candidates") == "default"


def test_a_damaged_file_is_named_and_left_alone():
    write("theme = \n")
    with pytest.raises(UserError, match=r"config\.toml"):
        load_settings()
    with pytest.raises(UserError, match=r"config\.toml"):
        save_setting("theme", "chatterm-dark")
    assert settings_file().read_text("utf-8") == "theme = \n"


def test_what_the_next_start_would_refuse_is_not_written():
    write('# mine\ntheme = "chatterm-light"\n')
    for name, value in (
        ("system_prompt", "x" * 300_000),
        ("sampling", {"temperature": -1}),
        ("sampling", {"temprature": 1}),
        ("candidates", 0),
        ("keys", {".".join("a" * 9): {"b" * 300_000: "x"}}),
    ):
        with pytest.raises(UserError, match=r"cannot be saved to .*config\.toml"):
            save_setting(name, value)
        assert load_settings().theme == "chatterm-light"
    write("[[unknown]]\n")
    with pytest.raises(UserError, match="unknown"):
        save_setting("theme", "chatterm-dark")
    assert settings_file().read_text("utf-8") == "[[unknown]]\n"


def test_a_file_with_sampling_values_that_cannot_be_used_is_named():
    write("[sampling]\ntemprature = 1\n")
    with pytest.raises(UserError, match=r"config\.toml.*temprature"):
        load_settings()
    save_setting("sampling", {"temperature": 1.0})
    assert load_settings().sampling == {"temperature": 1.0}


def test_a_full_disk_leaves_the_file_as_it_was(monkeypatch):
    save_setting("candidates", 12)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="No space left"):
        save_setting("candidates", 13)
    assert load_settings().candidates == 12


def test_a_link_to_the_file_stays_one(tmp_path):
    real = tmp_path / "dotfiles" / "chatterm.toml"
    real.parent.mkdir()
    settings_file().symlink_to(real)
    save_setting("candidates", 12)
    assert settings_file().is_symlink() and real.read_text("utf-8") == "candidates = 12\n"


def test_two_windows_lose_nothing_of_each_other(monkeypatch):
    """The second one wants to write when the first has read the file and not written it yet."""
    other = threading.Thread(target=save_setting, args=("theme", "chatterm-dark"))
    write_private = paths.write_private

    def slowly(file: Path, content: bytes) -> None:
        monkeypatch.setattr(paths, "write_private", write_private)
        other.start()
        other.join(0.2)
        write_private(file, content)

    monkeypatch.setattr(paths, "write_private", slowly)
    save_setting("candidates", 12)
    other.join()
    assert (load_settings().candidates, load_settings().theme) == (12, "chatterm-dark")


def test_a_lock_that_cannot_be_had_keeps_nobody_from_saving(monkeypatch):
    monkeypatch.setattr("chatterm.settings.LOCK_SECONDS", 0.05)
    lock = settings_file().with_name(".config.lock")
    with FileLock(lock):
        save_setting("candidates", 12)
    lock.unlink()
    lock.mkdir()
    save_setting("theme", "chatterm-dark")
    assert (load_settings().candidates, load_settings().theme) == (12, "chatterm-dark")


@given(
    st.one_of(
        st.tuples(st.just("candidates"), st.integers(1, 200)),
        st.tuples(st.just("exact"), st.booleans()),
        st.tuples(st.just("resume"), st.sampled_from(["new", "last"])),
        st.tuples(st.just("system_prompt"), st.text(st.characters(exclude_categories=["Cs", "Cc"]))),
        st.tuples(
            st.just("sampling"),
            st.fixed_dictionaries(
                {},
                optional={
                    "temperature": st.floats(0, 100),
                    "top_k": st.integers(0, 99),
                    "dry_sequence_breakers": st.lists(
                        st.text(st.characters(exclude_categories=["Cs"])), max_size=3
                    ),
                    "logit_bias": st.dictionaries(st.integers(0, 99).map(str), st.floats(-9, 9), max_size=3),
                },
            ),
        ),
        st.tuples(
            st.just("keys"),
            st.dictionaries(
                st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
                st.one_of(st.integers(-9, 9), st.booleans(), st.sampled_from(["a", "ü \"b'", "{}"])),
                max_size=4,
            ),
        ),
    )
)
def test_texts_of_values_read_back(pair):
    name, value = pair
    assert from_text(name, to_text(name, value)) == value


@pytest.mark.parametrize(
    "text",
    [
        'theme = "' + "x" * 300_000 + '"',
        "x = " + "[" * 5_000,
        "[" + "a." * 50_000 + "a]",
        '"\\ud800" = 1',
        "\0",
    ],
    ids=["large", "deep", "dotted", "half a character", "zero"],
)
def test_a_file_of_absurd_size_or_depth_is_one_sentence(text):
    write(text)
    with pytest.raises(UserError) as refused:
        load_settings()
    assert "\n" not in refused.value.sentence and len(refused.value.sentence) <= LONGEST
    with pytest.raises(UserError):
        save_setting("theme", "chatterm-dark")
    assert settings_file().read_text("utf-8") == text


def test_a_long_value_does_not_make_a_long_sentence():
    write('quantise = "' + "x" * 70_000 + '"')
    with pytest.raises(UserError) as refused:
        load_settings()
    assert 10 < len(refused.value.sentence) <= LONGEST
