"""The command line in Simplified Chinese: its help, its complaints and what commands print."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from chatterm import language
from chatterm.cli import history, main, words
from chatterm.cli.translated import Paragraph, paragraphs
from chatterm.engine.messages import Progress
from chatterm.glass import selfcheck
from chatterm.glass.edits import describe
from chatterm.library import Library
from chatterm.library.exports import outline, plain
from chatterm.records.inspection import ScaleBlock, ScaleHead, Steer

CHINESE = re.compile("[\u4e00-\u9fff]")
WIDTH = 78
PLACES = ("DATA", "CONFIG", "MODELS")


@pytest.fixture(autouse=True)
def _chinese(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[None]:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    for place in PLACES:
        monkeypatch.setenv(f"CHATTERM_{place}", str(tmp_path / place.lower()))
    yield
    language.speak("en")


def chatterm(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def commands(
    command: click.Command = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, (*path, name))


ALL = dict(commands())


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_the_help_has_no_english_sentence(path: tuple[str, ...]) -> None:
    result = chatterm(*path, "--help")
    assert result.exit_code == 0
    shown = " ".join(result.output.split())
    command = ALL[path]
    texts = [one for text in (command.help, command.epilog) if text for one in paragraphs(text)]
    options = [option.help for option in command.params if isinstance(option, click.Option)]
    texts += [Paragraph(text) for text in options if text]
    for one in texts:
        assert CHINESE.search(language._(one.text)) or one.text.startswith("bash:"), one.text
        assert " ".join(one.commands.split()) in shown
        if not one.text.startswith("bash:"):
            assert " ".join(one.text.split()) not in shown
    for english in ("Usage", "Options:", "Commands:", "Show this", "[default"):
        assert english not in result.output


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_lines_of_the_help_fit(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"], terminal_width=WIDTH + 2)
    for line in result.output.splitlines():
        assert cell_len(line) <= WIDTH + 2 or not CHINESE.search(line), line
        assert not line.lstrip().startswith(tuple("，。；：、！？）”")), line


def test_every_command_has_the_class_that_translates() -> None:
    from chatterm.cli.translated import Command

    assert all(isinstance(command, Command) for command in ALL.values())


def test_english_keeps_its_help(monkeypatch: pytest.MonkeyPatch) -> None:
    chinese = chatterm("ask", "--help").output
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    result = chatterm("ask", "--help")
    assert result.output != chinese
    assert not CHINESE.search(result.output)
    assert result.output.startswith("Usage: main ask [OPTIONS] [PROMPT]\n\n  Ask one question;")
    assert "Show this message and exit." in result.output
    unwrapped = " ".join(result.output.split())
    assert " ".join((inspect.cleandoc(ALL[("ask",)].help or "")).replace("\b", "").split()) in unwrapped


def test_the_settings_decide_over_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATTERM_LANGUAGE", "en")
    assert "Options:" in chatterm("--help").output
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("CHATTERM_LANGUAGE", "zh")
    assert "选项：" in chatterm("--help").output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("aks",), "没有命令 'aks'"),
        (("ask", "--tempo", "1"), "没有选项 '--tempo'"),
        (("ask", "--temperature", "x"), "不是有效的 float"),
        (("ask", "--threads", "99", "Hi"), "不在范围 1<=x<=64 之内"),
        (("history", "show", "nine"), "'nine' 不是对话"),
        (("edit-compare", "--off", "nose:1", "Hi"), "不是模型的部件"),
        (("ask", "--set", "typical_p", "Hi"), "不是 NAME=VALUE 的形式"),
    ],
)
def test_complaints_are_chinese_and_exit_with_2(arguments: tuple[str, ...], said: str) -> None:
    result = chatterm(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_shell_is_offered_chinese() -> None:
    from click.shell_completion import ShellComplete

    complete = ShellComplete(main, {}, "chatterm", "_CHATTERM_COMPLETE").get_completions
    for found in (complete([], ""), complete(["ask"], "--"), complete(["models"], "")):
        assert found
        assert all(CHINESE.search(item.help or "") for item in found)


def test_a_column_of_chinese_stays_straight() -> None:
    with Library() as library:
        for title in ("大海的三行诗", "Sea"):
            number = library.create(model="SmolLM2").id
            library.add_message(number, None, "user", "Write.")
            library.rename(number, title)
    lines = chatterm("history", "list").output.splitlines()
    assert "标题" in lines[0]
    starts = {cell_len(line[: line.index("SmolLM2")]) for line in lines[1:]}
    assert starts == {cell_len(lines[0][: lines[0].index("模型")])}


def test_headings_of_messages_are_those_of_the_export() -> None:
    with Library() as library:
        number = library.create(model="SmolLM2").id
        asked = library.add_message(number, None, "user", "Write.")
        for _time in range(2):
            reply = library.begin_reply(number, asked.id, model="SmolLM2")
            library.finish_reply(reply.id, "stopped")
        whole = library.whole(number)
    for branches in (False, True):
        entries = list(outline.entries(whole, branches=branches))
        language.speak("en")
        said = [history.heading(entry, branches=branches) for entry in entries]
        assert said == [plain.heading(entry, branches=branches) for entry in entries]
    language.speak("zh")
    assert [history.heading(entry, branches=True) for entry in entries] == [
        "1. 您",
        "2. SmolLM2 (1 / 2; 已停止)",
        "3. SmolLM2 (回答第 1 条; 2 / 2; 已停止)",
    ]


def test_presets_and_their_facts() -> None:
    assert "只给译文" in chatterm("presets", "list").output
    assert "chatterm 自带" in chatterm("presets", "show", "brief").output
    [first, *_rest] = json.loads(chatterm("presets", "list", "--json").output)
    assert not CHINESE.search(first["description"])


def test_progress() -> None:
    from chatterm.cli.common import describe_progress

    language.speak("zh")
    fetched = Progress(
        request=1, what="downloading a {b}.gguf", done=5_000_000, total=9_000_000, unit="bytes", remaining=3
    )
    assert describe_progress(fetched) == "正在下载 a {b}.gguf  5 / 9 MB  还剩 3 s"
    loaded = Progress(request=1, what="loading", done=1, total=2, unit="tensors")
    assert describe_progress(loaded) == "加载  1 / 2 张量"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (describe(ScaleHead(7, 3, 0.0)), "头 7.3 关闭"),
        (describe(ScaleBlock(5, 0.5)), "层 5 × 0.5"),
        (describe(Steer(10, "Love", "Hate", 4.0)), "第 10 层之后从“Hate”引向“Love” × 4"),
        ("something else", "something else"),
        ("map", "map"),
    ],
)
def test_sentences_of_the_engine(said: str, expected: str) -> None:
    language.speak("zh")
    assert words.sentence(said) == expected


def test_the_ends_of_replies_have_words() -> None:
    language.speak("zh")
    assert all(CHINESE.search(language._(text)) for text in outline.ENDINGS.values())


def test_the_wordfor_the_self_check_are_those_of_the_self_check() -> None:
    source = inspect.getsource(selfcheck)
    named = set(re.findall(r'Identity\(\s*f?"([^"{]+)', source))
    assert named == set(words.IDENTITIES)


@pytest.mark.model
@pytest.mark.usefixtures("default_model_path", "warm_engine")
class TestCommands:
    """Commands that ask the engine."""

    def test_doctor(self) -> None:
        report = chatterm("doctor")
        assert report.exit_code == 0
        for word in ("可用内存", "文件夹", "实测", "从不发往任何地方"):
            assert word in report.output
        assert "个逻辑核心" in report.output

    def test_doctor_for_programs_is_english(self) -> None:
        result = chatterm("doctor", "--json")
        report = json.loads(result.output)
        assert list(report)[:3] == ["chatterm", "packages", "engine"]
        assert report["network"]["what you say"] == "is never sent anywhere"
        assert not CHINESE.search(result.output)

    def test_models(self) -> None:
        result = chatterm("models", "list")
        assert result.exit_code == 0
        shown = "".join(result.output.split())
        for word in ("本机", "词元/秒≤", "可用内存", "聊天模型", "会编造事实"):
            assert word in shown

    def test_the_facts_of_a_model(self) -> None:
        result = chatterm("models", "show", "default")
        assert result.exit_code == 0
        lines = result.output.splitlines()
        assert all(CHINESE.search(line[:6]) or line.startswith("KV ") for line in lines)
        assert json.loads(chatterm("models", "show", "default", "--json").output)["parameters"]

    def test_the_self_check(self) -> None:
        result = chatterm("selfcheck")
        assert result.exit_code == 0
        assert "注意力每行之和为 1" in result.output
        assert "全部成立" in result.output

    def test_what_could_come_next(self) -> None:
        result = chatterm("next", "-k", "3", "The capital of France is")
        assert result.exit_code == 0
        assert "个词元之后" in result.output
        assert "熵" in result.output
