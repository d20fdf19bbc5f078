"""History, export, import and presets on the command line, on a library of the test's own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from chatterm.cli import main
from chatterm.library import Library, Token


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATTERM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CHATTERM_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("CHATTERM_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def talk() -> int:
    """A conversation with one reply of one token."""
    with Library() as library:
        number = library.create(model="SmolLM2").id
        question = library.add_message(number, None, "user", "Write about the **sea** \x1b[31m")
        reply = library.begin_reply(number, question.id, model="SmolLM2")
        token = Token(
            id=1,
            text="Salt.",
            position=9,
            logprob=-0.1,
            rank=1,
            sampled=1.0,
            entropy=0.2,
            temperature=0.0,
            kept=1,
        )
        library.finish_reply(reply.id, "end", tokens=[token])
    return number


def chatterm(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin)


def said(*arguments: str, stdin: str | None = None) -> str:
    result = chatterm(*arguments, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def refused(*arguments: str) -> str:
    result = chatterm(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


def document(*arguments: str) -> Any:
    return json.loads(said(*arguments))


def offered(*words: str, incomplete: str = "") -> dict[str, str | None]:
    found = ShellComplete(main, {}, "chatterm", "_CHATTERM_COMPLETE").get_completions(list(words), incomplete)
    return {item.value: item.help for item in found}


# --- history --------------------------------------------------------------------------------------------


def test_an_empty_library_says_so() -> None:
    assert chatterm("history", "list").stderr == "No conversation has been saved yet.\n"
    assert document("history", "list", "--json") == []
    assert "No conversation has been saved" in refused("history", "show")
    assert "No conversation has been saved" in refused("export")


def test_list(talk: int) -> None:
    listing = said("history", "list")
    assert "Write about the sea [31m" in listing and "SmolLM2" in listing and "\x1b" not in listing
    (row,) = document("history", "list", "--json")
    assert (row["id"], row["model"], row["pinned"], row["deleted"]) == (talk, "SmolLM2", False, None)
    assert document("history", "list", "--json", "--matching", "moon") == []


def test_the_list_says_that_there_are_more(talk: int) -> None:
    with Library() as library:
        library.add_message(library.create().id, None, "user", "another")
    result = chatterm("history", "list", "-n", "1")
    assert "another" in result.stdout and "sea" not in result.stdout
    assert "There are more" in result.stderr
    assert chatterm("history", "list", "-n", "2").stderr == ""


def test_search(talk: int) -> None:
    assert "    Write about the **sea**  [31m\n" in said("history", "search", "SEA")
    (hit,) = document("history", "search", "--json", "the **sea**")
    assert hit["conversation"] == talk
    assert hit["snippet"][slice(*hit["spans"][0])] == "the **sea**"
    assert chatterm("history", "search", "moon").stderr == "Nothing was found.\n"


def test_show(talk: int) -> None:
    for arguments in (("show",), ("show", str(talk)), ("show", "last")):
        shown = said("history", *arguments)
        assert "You\n    Write about the **sea** ␛[31m\n\nSmolLM2\n    Salt.\n" in shown
    assert document("history", "show", "--json")["conversations"][0]["model"] == "SmolLM2"


def test_delete_and_undelete(talk: int) -> None:
    told = said("history", "delete", str(talk))
    assert f"history undelete {talk}" in told
    assert document("history", "list", "--json") == []
    assert [row["id"] for row in document("history", "list", "--json", "--deleted")] == [talk]
    assert f"Brought back {talk}" in said("history", "undelete", str(talk))
    assert len(document("history", "list", "--json")) == 1


def test_nothing_is_deleted_if_one_is_not_there(talk: int) -> None:
    assert "no conversation 99" in refused("history", "delete", str(talk), "99")
    assert len(document("history", "list", "--json")) == 1


@pytest.mark.parametrize("name", ["x", "-", "1.5", "²", "9" * 30])
def test_what_is_no_conversation(name: str) -> None:
    assert "is no conversation" in refused("history", "show", "--", name)


# --- export and import ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.md", "## SmolLM2\n\nSalt."),
        ("a.txt", "SmolLM2\n    Salt."),
        ("a.html", "<!doctype html>"),
        ("a.SVG", "<svg "),
        ("a.json", '"chatterm-conversations"'),
    ],
)
def test_the_suffix_chooses_the_format(talk: int, name: str, words: str) -> None:
    assert said("export", "-o", name) == ""
    assert words in Path(name).read_text("utf-8")
    assert [path.name for path in Path().iterdir() if path.is_file()] == [name]


def test_an_option_wins_over_the_suffix_and_a_dash_is_standard_output(talk: int) -> None:
    said("export", "-o", "a.md", "-f", "json")
    assert json.loads(Path("a.md").read_text("utf-8"))["version"] == 1
    assert said("export", "-o", "-", "-f", "text") == said("history", "export", "-f", "text", str(talk))
    assert said("export").startswith("# Write about the sea")


def test_a_file_is_not_replaced_unasked(talk: int) -> None:
    Path("a.md").write_text("mine")
    assert "a.md is there already" in refused("export", "-o", "a.md")
    assert Path("a.md").read_text() == "mine"
    said("export", "-o", "a.md", "--overwrite")
    assert "Salt." in Path("a.md").read_text("utf-8")


def test_export_mistakes(talk: int) -> None:
    assert "says no format" in refused("export", "-o", "a.doc")
    assert "cannot be written" in refused("export", "-o", "nowhere/a.md")
    assert "Only JSON" in refused("export", "-o", "a.md", str(talk), str(talk))
    assert "not both" in refused("export", "--all", str(talk))
    assert not Path("a.md").exists()


def test_all_of_them_there_and_back(talk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Library() as library:
        library.add_message(library.create().id, None, "user", "another")
    said("export", "--all", "-o", "backup.json")
    monkeypatch.setenv("CHATTERM_DATA", str(tmp_path / "other"))
    told = said("import", "backup.json")
    assert told.startswith("Imported 2 conversations (chatterm):") and "another" in told
    said("export", "--all", "-o", "again.json")
    assert Path("again.json").read_bytes() == Path("backup.json").read_bytes()


def test_import_from_standard_input_and_dry() -> None:
    messages = json.dumps([{"role": "user", "content": "hello\x1b"}])
    dry = said("import", "--dry-run", "-", stdin=messages)
    assert "1 conversation (list of messages); nothing was imported." in dry
    assert document("history", "list", "--json") == []
    assert said("import", "-", stdin=messages) == "Imported 1 conversation (list of messages):\n  1 “hello”\n"


def test_import_from_a_pipe_that_a_shell_hands_over() -> None:
    reading, writing = os.pipe()
    os.write(writing, json.dumps([{"role": "user", "content": "hello"}]).encode())
    os.close(writing)
    assert "1 conversation (list of messages)" in said("import", "--dry-run", f"/dev/fd/{reading}")
    os.close(reading)
    os.mkfifo("pipe")
    assert "Not a regular file" in refused("import", "pipe")


def test_one_bad_file_and_nothing_is_imported() -> None:
    Path("good.json").write_text('[{"role": "user", "content": "a"}]')
    Path("bad.json").write_text('[{"role": "user", "content": "a"}, {"role": 7}]')
    assert "bad.json cannot be imported" in refused("import", "good.json", "bad.json")
    assert "none.json" in refused("import", "good.json", "none.json")
    assert document("history", "list", "--json") == []


# --- presets --------------------------------------------------------------------------------------------


def test_presets() -> None:
    said("presets", "save", "Poet", "-s", "Rhyme.\nAlways.", "-t", "1.1", "--set", 'logit_bias={"2": -5}')
    shown = document("presets", "show", "poet", "--json")
    assert (shown["name"], shown["system_prompt"], shown["builtin"]) == ("Poet", "Rhyme.\nAlways.", False)
    assert shown["sampling"] == {"temperature": 1.1, "logit_bias": {"2": -5}}
    assert "Poet" in said("presets", "list") and "(yours)" in said("presets", "list")
    assert "temperature = 1.1" in said("presets", "show", "Poet")
    assert "There is a preset called Poet" in refused("presets", "save", "poet")
    assert said("presets", "rename", "Poet", "Bard") == "It is called Bard now.\n"
    assert said("presets", "delete", "bard") == "Deleted Bard.\n"
    assert "Bard" not in said("presets", "list")


def test_preset_mistakes() -> None:
    assert "temperature" in refused("presets", "save", "hot", "-t", "1000")
    assert "cannot be called" in refused("presets", "save", "../up")
    assert "did you mean brief" in refused("presets", "show", "breif")
    assert "came with chatterm" in refused("presets", "delete", "brief")
    assert "No preset is called nosuch" in refused("ask", "-p", "nosuch", "hi")


def test_a_bad_preset_hides_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "presets"
    folder.mkdir(parents=True)
    (folder / "bad.toml").write_text("[")
    result = chatterm("presets", "list")
    assert result.exit_code == 0 and "creative" in result.stdout
    assert "bad.toml" in result.stderr and len(result.stderr.splitlines()) == 1


# --- completion -----------------------------------------------------------------------------------------


def test_completion_offers_what_there_is(talk: int) -> None:
    number = str(talk)
    assert offered("history", "show") == {number: "Write about the sea [31m"}
    assert number in offered("export", incomplete=number) and number in offered("ask", "--continue")
    assert offered("history", "undelete") == {}
    assert set(offered("ask", "--preset", incomplete="c")) == {"creative"}
    assert set(offered("export", "--format")) == {"markdown", "json", "text", "html", "svg"}
    assert set(offered("ask", "--format")) == {"text", "markdown", "json"}
    assert {"default", "gpt2"} <= set(offered("ask", "--model"))
    assert "history" in offered(incomplete="h")


def test_completion_without_a_library_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATTERM_DATA", "/dev/null/nowhere")
    assert offered("history", "show") == {}


def test_resume_needs_a_terminal_and_says_what_does_not() -> None:
    assert "chatterm ask --continue" in refused("resume", "last")


def test_resume_opens_the_conversation_that_is_named_or_chosen(
    talk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chatterm.cli import resume

    with Library() as library:
        other = library.create(model="SmolLM2").id
        library.add_message(other, None, "user", "Later")
    monkeypatch.setattr(resume, "_is_terminal", lambda: True)
    opened: list[str | None] = []
    monkeypatch.setattr(
        "chatterm.tui.run.run_chat", lambda _settings, conversation: opened.append(conversation) or 0
    )
    listed = said("resume", stdin="2\n")
    assert listed.index("Later") < listed.index("Write about the sea")
    assert "\x1b[31m" not in listed
    said("resume", str(other))
    said("resume", "last")
    assert opened == [str(talk), str(other), str(other)]
    assert chatterm("resume", "99").exit_code == 2
