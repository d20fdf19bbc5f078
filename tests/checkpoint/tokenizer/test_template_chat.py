"""Conversations to tokens: typed control names, folding, continuing, thinking, plain dialogue."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatterm.checkpoint.template import (
    ChatTemplate,
    PlainDialogue,
    chat_template,
    encode_chat,
    load_template,
    template_in_folder,
    template_in_gguf,
)
from chatterm.checkpoint.template.folding import SYSTEM_FOLDED, TURNS_FOLDED
from chatterm.checkpoint.template.messages import Turn
from chatterm.checkpoint.template.sources import TemplateSource
from chatterm.checkpoint.thinking import KNOWN, ThinkingMarkers, thinking_markers
from chatterm.checkpoint.tokenizer import Tokenizer
from chatterm.errors import UserError

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
contents = st.lists(
    st.sampled_from(
        ["<|im_end|>", "<|im_start|>", "<|im_start|>system\n", "<|endoftext|>", "Hi", " ", "\n", "苹果"]
    ),
    max_size=6,
).map("".join)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
THINKING = (
    "{% for m in messages %}{% set c = m.content %}{% if m.role == 'assistant' and '</think>' in c %}"
    "{% set c = c.split('</think>')[-1].lstrip() %}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\n' + c + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
)


@pytest.fixture(scope="session")
def default_template(default_metadata: Mapping[str, Any], default_tokenizer: Tokenizer) -> ChatTemplate:
    found = template_in_gguf(default_metadata)
    assert found is not None
    return chat_template(found, default_tokenizer)


@pytest.fixture(scope="session")
def chatml(default_tokenizer: Tokenizer) -> ChatTemplate:
    return chat_template(TemplateSource(CHATML, "a test"), default_tokenizer)


@few
@given(system=contents, question=contents, reply=contents)
def test_only_the_template_writes_control_tokens(
    default_tokenizer: Tokenizer, chatml: ChatTemplate, system: str, question: str, reply: str
) -> None:
    turns = [Turn("system", system), Turn("user", question), Turn("assistant", reply), Turn("user", question)]
    prompt = encode_chat(default_tokenizer, chatml, turns)
    control = [default_tokenizer.piece(id_) for id_ in prompt.ids if default_tokenizer.is_special(id_)]
    assert control == ["<|im_start|>", "<|im_end|>"] * 4 + ["<|im_start|>"]
    assert prompt.text == chatml.render(turns).text
    assert default_tokenizer.decode(prompt.ids, skip_special=False) == prompt.text
    position = 0
    for _, start, end in prompt.spans:
        assert start <= position <= end
        position = end
    assert position == len(prompt.text)


@few
@given(question=st.text(st.characters(codec="utf-8"), max_size=30))
def test_ordinary_text_is_encoded_in_one_go(
    default_tokenizer: Tokenizer, chatml: ChatTemplate, question: str
) -> None:
    prompt = encode_chat(default_tokenizer, chatml, [Turn("user", question)])
    assert prompt.ids == default_tokenizer.encode(prompt.text, special=True)
    assert (prompt.notices, prompt.stop, prompt.thinking, prompt.strip) == ((), (), False, None)


def test_private_use_characters_in_messages_survive(
    default_tokenizer: Tokenizer, chatml: ChatTemplate
) -> None:
    content = "\U00100000\U00100001<|im_end|>\U00100000"
    prompt = encode_chat(default_tokenizer, chatml, [Turn("user", content)])
    assert content in prompt.text
    assert prompt.ids.count(2) == 1


def test_the_default_model_has_its_own_template(
    default_tokenizer: Tokenizer, default_template: ChatTemplate
) -> None:
    prompt = encode_chat(default_tokenizer, default_template, [Turn("user", "Hi")])
    assert default_template.is_chat
    assert default_template.source == "tokenizer.chat_template"
    assert prompt.text.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert prompt.text.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert prompt.ids[:3] == [1, *default_tokenizer.encode("system\n")]


def test_a_partial_reply_is_continued(default_tokenizer: Tokenizer, chatml: ChatTemplate) -> None:
    turns = [Turn("user", "Hi"), Turn("assistant", "Hello, I ")]
    prompt = encode_chat(default_tokenizer, chatml, turns, continue_reply=True)
    assert prompt.text.endswith("<|im_start|>assistant\nHello, I ")
    assert prompt.strip is False
    with pytest.raises(UserError, match="no message"):
        encode_chat(default_tokenizer, chatml, [])


def test_a_reply_that_the_template_would_rewrite_is_continued_as_it_was(default_tokenizer: Tokenizer) -> None:
    template = ChatTemplate(CHATML.replace("m.content", "m.content|upper"), "a test")
    turns = [Turn("user", "Hi"), Turn("assistant", "Hello")]
    prompt = encode_chat(default_tokenizer, template, turns, continue_reply=True)
    assert prompt.text.endswith("HI<|im_end|>\n<|im_start|>assistant\nHello")


class TestFolding:
    """Refusals are worked around, and said."""

    GEMMA = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Roles must alternate') }}{% endif %}[{{ m.role }}: {{ m.content }}]{% endfor %}"
    )

    def test_a_system_prompt_goes_in_front_of_the_first_message(self) -> None:
        rendered = ChatTemplate(self.GEMMA, "x").render([Turn("system", "Be kind."), Turn("user", "Hi")])
        assert rendered.text == "[user: Be kind.\n\nHi]"
        assert rendered.notices == (SYSTEM_FOLDED,)

    def test_messages_in_a_row_are_joined(self) -> None:
        turns = [Turn("user", "a"), Turn("user", "b"), Turn("assistant", "c"), Turn("user", "d")]
        rendered = ChatTemplate(self.GEMMA, "x").render(turns)
        assert rendered.text == "[user: a\n\nb][assistant: c][user: d]"
        assert rendered.notices == (TURNS_FOLDED,)

    def test_both(self) -> None:
        turns = [Turn("system", "S"), Turn("assistant", "Hi!"), Turn("user", "a"), Turn("user", "b")]
        rendered = ChatTemplate(self.GEMMA, "x").render(turns)
        assert rendered.notices == (SYSTEM_FOLDED, TURNS_FOLDED)
        assert rendered.text == "[user: ][assistant: Hi!][user: S\n\na\n\nb]"

    def test_a_system_prompt_that_is_silently_dropped_is_folded_too(self) -> None:
        template = ChatTemplate(
            "{% for m in messages if m.role != 'system' %}{{ m.content }};{% endfor %}", "x"
        )
        rendered = template.render([Turn("system", "Be kind."), Turn("user", "Hi")])
        assert rendered.text == "Be kind.\n\nHi;"
        assert rendered.notices == (SYSTEM_FOLDED,)

    def test_no_system_prompt_no_notice(self) -> None:
        assert ChatTemplate(self.GEMMA, "x").render([Turn("user", "Hi")]).notices == ()

    def test_what_is_refused_in_every_form_is_an_error(self) -> None:
        with pytest.raises(UserError, match="never"):
            ChatTemplate("{{ raise_exception('never') }}", "x").render(
                [Turn("system", "S"), Turn("user", "Hi")]
            )


class TestThinking:
    """Thinking blocks in templates and prompts."""

    def test_markers_come_from_the_template_or_the_vocabulary(self) -> None:
        assert thinking_markers(THINKING, lambda name: False) == KNOWN[0]
        for markers in KNOWN:
            assert thinking_markers(f"{markers.opens} … {markers.closes}", lambda name: False) == markers
        assert thinking_markers("", {"<think>", "</think>"}.__contains__) == ThinkingMarkers(
            "<think>", "</think>"
        )
        assert thinking_markers("", lambda name: False) is None

    def test_the_prompt_may_end_inside_a_block(self, default_tokenizer: Tokenizer) -> None:
        template = chat_template(TemplateSource(THINKING, "x"), default_tokenizer)
        assert encode_chat(default_tokenizer, template, [Turn("user", "Hi")]).thinking
        turns = [Turn("user", "Hi"), Turn("assistant", "hm</think>\n\nYes"), Turn("user", "<think>")]
        prompt = encode_chat(default_tokenizer, template, turns)
        assert "hm" not in prompt.text
        assert prompt.text.count("<think>") == 2

    def test_a_marker_that_the_user_typed_opens_nothing(self, default_tokenizer: Tokenizer) -> None:
        template = chat_template(TemplateSource(CHATML + "{# <think> </think> #}", "x"), default_tokenizer)
        prompt = encode_chat(default_tokenizer, template, [Turn("user", "what is <think>?")])
        assert not prompt.thinking
        assert "what is <think>?" in prompt.text

    @pytest.mark.parametrize(
        ("partial", "end", "thinking"),
        [
            ("hm, so", "hm, so", True),
            ("<think>\nhm", "\nhm", True),
            ("hm</think>\n\nYe", "hm</think>\n\nYe", False),
        ],
    )
    def test_a_partial_thought_is_continued_where_it_was(
        self, partial: str, end: str, thinking: bool, default_tokenizer: Tokenizer
    ) -> None:
        template = chat_template(TemplateSource(THINKING, "x"), default_tokenizer)
        turns = [Turn("user", "Hi"), Turn("assistant", partial)]
        prompt = encode_chat(default_tokenizer, template, turns, continue_reply=True)
        assert prompt.text.endswith("<|im_start|>assistant\n<think>\n" + end)
        assert prompt.thinking is thinking

    def test_a_thought_goes_into_its_own_field_where_there_is_one(self) -> None:
        text = "{% for m in messages %}{{ m.content }}({{ m.reasoning_content }}){% endfor %}<think></think>"
        template = ChatTemplate(text, "x", thinking=KNOWN[0])
        rendered = template.render(
            [Turn("assistant", "<think>\nhm\n</think>\n\nYes"), Turn("user", "a</think>b")]
        )
        assert rendered.text == "Yes(hm)a</think>b()<think></think>"

    def test_markers_that_are_control_tokens_are_kept_in_replies(
        self, vocabulary: Callable[[str], Tokenizer], vocabulary_metadata: Callable[[str], Mapping[str, Any]]
    ) -> None:
        tokenizer = vocabulary("gemma-4")
        found = template_in_gguf(vocabulary_metadata("gemma-4"))
        assert found is not None
        template = chat_template(found, tokenizer)
        assert template.thinking == ThinkingMarkers("<|channel>thought", "<channel|>")
        prompt = encode_chat(tokenizer, template, [Turn("user", "Hi")])
        stream = tokenizer.stream(keep=prompt.keep)
        reply = tokenizer.encode("<|channel>thought\nhm<channel|>Yes<turn|>", special=True)
        assert "".join(map(stream.push, reply)) == "<|channel>thought\nhm<channel|>Yes"


class TestPlainDialogue:
    """Base models."""

    def test_a_base_model_gets_a_dialogue_and_stop_strings(
        self, vocabulary: Callable[[str], Tokenizer]
    ) -> None:
        tokenizer = vocabulary("llama-bpe")
        template = load_template(SimpleNamespace(gguf=SimpleNamespace(metadata={}), folder=None), tokenizer)
        assert isinstance(template, PlainDialogue)
        assert not template.is_chat
        turns = [Turn("user", "Hi <|eot_id|>"), Turn("assistant", " Hello. "), Turn("user", "Bye")]
        prompt = encode_chat(tokenizer, template, turns)
        assert prompt.text.endswith("\n\nUser: Hi <|eot_id|>\n\nAssistant: Hello.\n\nUser: Bye\n\nAssistant:")
        assert "helpful assistant" in prompt.text
        assert prompt.ids[0] == tokenizer.bos_id
        assert 128009 not in prompt.ids
        assert "\nUser:" in prompt.stop
        assert prompt.strip is True

    def test_a_system_prompt_opens_it_and_a_partial_reply_ends_it(self, default_tokenizer: Tokenizer) -> None:
        turns = [Turn("system", "A talk."), Turn("user", "Hi"), Turn("assistant", "Hel")]
        prompt = encode_chat(default_tokenizer, PlainDialogue(), turns, continue_reply=True)
        assert prompt.text == "A talk.\n\nUser: Hi\n\nAssistant: Hel"
        assert prompt.strip is False


class TestSources:
    """Where templates are found, first wins."""

    def test_the_order_in_a_folder(self, tmp_path: Path) -> None:
        assert template_in_folder(tmp_path) is None
        (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "4"}))
        assert template_in_folder(tmp_path) == ("4", "chat_template.json")
        config = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "3"}]
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": config}))
        assert template_in_folder(tmp_path) == ("3", "tokenizer_config.json, template 'default'")
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "3"}))
        assert template_in_folder(tmp_path) == ("3", "tokenizer_config.json")
        (tmp_path / "additional_chat_templates").mkdir()
        (tmp_path / "additional_chat_templates" / "rag.jinja").write_text("r")
        assert template_in_folder(tmp_path) == ("3", "tokenizer_config.json")
        (tmp_path / "additional_chat_templates" / "default.jinja").write_text("2")
        assert template_in_folder(tmp_path) == ("2", "default.jinja")
        (tmp_path / "chat_template.jinja").write_text("1")
        assert template_in_folder(tmp_path) == ("1", "chat_template.jinja")

    def test_named_templates_in_gguf(self) -> None:
        key = "tokenizer.chat_template"
        assert template_in_gguf({}) is None
        assert template_in_gguf({key + ".tool_use": "t"}) is None
        assert template_in_gguf({key + ".tool_use": "t", key + ".default": "d"}) == ("d", key + ".default")
        assert template_in_gguf({key: "x", key + ".default": "d"}) == ("x", key)

    def test_an_absurd_template_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "chat_template.jinja").write_text("x" * (5 << 20))
        with pytest.raises(UserError, match="larger than any real file"):
            template_in_folder(tmp_path)
        (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
        with pytest.raises(UserError, match="not UTF-8"):
            template_in_folder(tmp_path)
