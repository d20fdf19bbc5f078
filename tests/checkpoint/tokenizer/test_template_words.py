"""What was said stands in what a template makes of it, or is told to be left out, or it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from chatterm.checkpoint.template import ChatTemplate
from chatterm.checkpoint.template.folding import LEFT_OUT, SYSTEM_FOLDED, TURNS_FOLDED
from chatterm.checkpoint.template.manner import Manner
from chatterm.checkpoint.template.messages import Turn
from chatterm.checkpoint.thinking import KNOWN, thinking_markers
from chatterm.errors import UserError
from tests.checkpoint.tokenizer.test_template_parity import CONVERSATIONS, NAMES, NEED_TOOLS, PARTIAL

AROUND = (
    "{%% for m in messages %%}[{{ m.role }}: %s]{%% endfor %%}"
    "{%% if add_generation_prompt %%}[assistant:{%% endif %%}"
)
TAKE_PARTS = {
    "a loop": "{% for p in m.content %}{% if p.type == 'text' %}{{ p.text }}{% endif %}{% endfor %}",
    "the first": "{{ m['content'][0]['text'] }}",
    "a filter": "{{ m.content|selectattr('type', 'equalto', 'text')|map(attribute='text')|join }}",
    "a join": "{{ m.content|map(attribute='text')|join('\n') }}",
    "a test for lists": "{% if m.content is not string %}{{ m.content[0].text }}{% endif %}",
    "by number": "{% for i in range(m.content|length) %}{{ m.content[i].text }}{% endfor %}",
    "a refusal": "{% if m.content is string %}{{ raise_exception('no') }}{% endif %}{{ m.content[0].text }}",
}
TALK = [
    Turn("system", "user"),
    Turn("user", "assistant"),
    Turn("assistant", "yes\n<b>"),
    Turn("user", "assistant"),
]
"""Words that templates write of their own, and one thing said twice."""


def _template(body: str) -> ChatTemplate:
    return ChatTemplate(AROUND % body, "a test")


def _as_parts(turns: Sequence[Turn], roles: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "role": turn.role,
            "content": [{"type": "text", "text": turn.content}] if turn.role in roles else turn.content,
        }
        for turn in turns
    ]


@pytest.mark.parametrize("body", TAKE_PARTS.values(), ids=TAKE_PARTS)
@pytest.mark.parametrize(
    "roles", [("system", "user", "assistant"), ("user",), ("assistant",), ("user", "system")]
)
def test_words_go_in_as_parts_where_a_template_takes_nothing_else(body: str, roles: tuple[str, ...]) -> None:
    chosen = f"{{% if m.role in {roles} %}}{body}{{% else %}}{{{{ '' ~ m.content }}}}{{% endif %}}"
    template = _template(chosen)
    for turns, partial in ((TALK, False), ([*TALK, PARTIAL], True)):
        (theirs,), _ = render_jinja_template(
            [_as_parts(turns, roles)],
            chat_template=template.text,
            add_generation_prompt=not partial,
            continue_final_message=partial,
        )
        assert template.render(turns, continue_reply=partial) == (theirs, ())
    assert template.manner == Manner(frozenset(roles), certain=True)


def test_a_template_that_takes_both_gets_texts() -> None:
    template = _template(
        "{% if m.content is string %}{{ m.content }}{% else %}{{ m.content[0].text }}!{% endif %}"
    )
    assert "!" not in template.render(TALK).text


def test_a_thought_has_its_field_beside_the_parts() -> None:
    body = "{{ m.reasoning_content }}({% for p in m.content %}{{ p.text }}{% endfor %})"
    template = ChatTemplate(AROUND % body, "a test", thinking=KNOWN[0])
    turns = [Turn("user", "a"), Turn("assistant", "<think>\nhm\n</think>\n\nb"), Turn("user", "c")]
    assert template.render(turns).text == "[user: (a)][assistant: hm(b)][user: (c)][assistant:"


@pytest.mark.parametrize(
    "body",
    ["{{ m.content|trim }}", "{{ m.content|e }}", "{{ m.content|tojson }}", "{{ m.content|upper }}",
     "{{ m.content|replace('\n', ' ') }}", "{{ m.content|wordwrap(10) }}",
     "{{ m.content.split() | join('  ') }}", "{{ m.content.replace('/no_think', '') }}"],
)  # fmt: skip
def test_what_only_changes_form_is_taken(body: str) -> None:
    turns = [
        Turn("user", " Tea & “cake”?\n\n/no_think\tPlease <now>. "),
        Turn("assistant", "Yes."),
        Turn("user", "a\nb"),
    ]
    assert _template(body).render(turns).notices == ()
    assert _template(body).render([*turns, PARTIAL], continue_reply=True).notices == ()


@pytest.mark.parametrize(
    "body",
    ["{{ m['value'] }}", "{{ m.content[:4] }}", "{{ m.content|first }}", "{{ m.content|join(' ') }}",
     "{{ m.content|reverse }}", "{% if m.role != 'user' %}{{ m.content }}{% endif %}", "hello",
     "{{ m.content|length }}"],
)  # fmt: skip
def test_a_question_that_vanishes_is_refused(body: str) -> None:
    for content in ("assistant", "What is a fjord?", "a test of it"):
        with pytest.raises(UserError, match=r"template \(a test\) leaves out what you wrote"):
            _template(body).render([Turn("user", content)])


@pytest.mark.parametrize("body", ["{{ m.content.split('\n')[0] }}", "{{ m.content|truncate(20) }}"])
def test_so_is_one_of_which_a_part_vanishes(body: str) -> None:
    assert (
        _template(body).render([Turn("user", "What is a fjord?")]).text
        == "[user: What is a fjord?][assistant:"
    )
    with pytest.raises(UserError, match="or a part of it"):
        _template(body).render([Turn("user", "What is a fjord?\nAnd why so deep?")])


@pytest.mark.parametrize(
    "body",
    ["{% if m.role != 'assistant' %}{{ m.content }}{% endif %}",
     "{% if loop.index > messages|length - 2 %}{{ m.content }}{% endif %}"],
)  # fmt: skip
def test_earlier_messages_that_a_template_leaves_out_are_told(body: str) -> None:
    template = _template(body)
    assert template.render(TALK[1:2]).notices == ()
    assert template.render(TALK[1:]).notices == (LEFT_OUT,)
    assert template.render(TALK[1:]).text.endswith("[user: assistant][assistant:")


def test_it_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = []
    text_of = ChatTemplate._text_of
    monkeypatch.setattr(ChatTemplate, "_text_of", lambda *args: rendered.append(0) or text_of(*args))
    for body, notices in (
        (TAKE_PARTS["a loop"], ()),
        (
            "{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ m.content }}",
            (SYSTEM_FOLDED,),
        ),
        ("{{ m.content }}", ()),
    ):
        template = _template(body)
        assert template.manner.certain
        rendered.clear()
        assert template.render(TALK).notices == notices
        assert len(rendered) == 1


def test_no_public_template_is_refused_for_it(llama_cpp_models: Path) -> None:
    more = [
        CONVERSATIONS["turns"],
        CONVERSATIONS["system prompt and turns"],
        [Turn("system", "You are terse. /no_think"), Turn("user", "yes /think"),
         Turn("assistant", "<think>\n\n</think>\n\nyes"), Turn("user", "yes\n\n- a  list")],
    ]  # fmt: skip
    for path in sorted((llama_cpp_models / "templates").glob("*.jinja")):
        if path.stem in NEED_TOOLS:
            continue
        text = path.read_text("utf-8")
        template = ChatTemplate(text, path.name, NAMES, thinking=thinking_markers(text, lambda name: False))
        assert template.manner.certain, path.name
        assert template.notices == (), path.name
        for turns in more:
            for given, partial in ((turns, False), ([*turns, PARTIAL], True)):
                notices = template.render(given, continue_reply=partial).notices
                assert set(notices) <= {SYSTEM_FOLDED, TURNS_FOLDED}, (path.name, turns)


def test_a_token_that_nobody_named_is_told() -> None:
    template = ChatTemplate(
        "{{ bos_token }}{{ sot_token }}{% set x_token = 1 %}{{ image_token }}", "x", {"image_token": "i"}
    )
    assert template.notices == (
        "Its chat template writes sot_token, which the checkpoint does not name, so nothing stands in that "
        "place.",
    )
