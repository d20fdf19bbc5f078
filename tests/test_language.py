"""The translations are complete, compiled and fit their texts."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator

import pytest
from babel.messages import mofile, pofile

from chatterm import language
from chatterm.language import FOLDER, _, several, speak
from tests.texts import collected

PO = FOLDER / "zh_CN" / "LC_MESSAGES" / "chatterm.po"
FIELD = re.compile(r"\{[^{}]*\}")


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    yield
    speak("en")


def translated() -> list[tuple[str, str]]:
    pairs = []
    for message in pofile.read_po(io.BytesIO(PO.read_bytes())):
        if message.id:
            ids = message.id if isinstance(message.id, tuple) else (message.id,)
            strings = message.string if isinstance(message.string, tuple) else (message.string,)
            pairs += [(ids[-1], string) for string in strings]
    return pairs


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "C.UTF-8"}, "en"),
    ],
)
def test_the_locale_decides(variables: dict[str, str], expected: str) -> None:
    assert language.from_locale(variables) == expected


def test_every_text_has_a_translation() -> None:
    wanted = {str(text) for text in collected()}
    there = {
        str(m.id)
        for m in pofile.read_po(io.BytesIO(PO.read_bytes()))
        if m.id and not m.fuzzy and (all(m.string) if isinstance(m.string, tuple) else m.string)
    }
    assert wanted - there == set(), "run `make messages` and translate these"


def test_no_text_stands_in_an_f_string() -> None:
    """Where the oldest Python that chatterm runs on does not let it be collected."""
    for file in sorted(FOLDER.parent.rglob("*.py")):
        formatted = [
            node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.JoinedStr)
        ]
        for node in (inner for outer in formatted for inner in ast.walk(outer)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("_", "several")
            ):
                assert not isinstance(node.args[0], ast.Constant), f"{file}:{node.lineno}"


def test_the_fields_of_a_text_are_those_of_its_translation() -> None:
    for text, translation in translated():
        assert sorted(FIELD.findall(text)) == sorted(FIELD.findall(translation)), text


def test_the_compiled_file_is_that_of_the_source() -> None:
    catalog = pofile.read_po(io.BytesIO(PO.read_bytes()), locale="zh_CN")
    out = io.BytesIO()
    mofile.write_mo(out, catalog)
    assert PO.with_suffix(".mo").read_bytes() == out.getvalue(), "run `make messages`"


def test_texts_are_translated_when_they_are_shown() -> None:
    speak("zh")
    assert language.language() == "zh"
    assert _("Language") == "语言"
    assert _("nobody wrote this text") == "nobody wrote this text"
    speak("en")
    assert _("Language") == "Language"
    assert several("{count} token", "{count} tokens", 1) == "{count} token"
    assert several("{count} token", "{count} tokens", 2) == "{count} tokens"
