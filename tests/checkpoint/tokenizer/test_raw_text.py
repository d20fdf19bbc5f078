"""Raw text that a user edits: what nobody touched keeps its tokens, the rest is cut as the template's is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatterm.chat.raw_prompt import RawText
from chatterm.checkpoint.template import PlainDialogue
from chatterm.checkpoint.template.template import ChatTemplate
from chatterm.checkpoint.tokenizer import Tokenizer
from chatterm.checkpoint.tokenizer.gguf import tokenizer_from_gguf
from chatterm.engine.messages import Render, Rendered, Tokenize, Tokenized
from chatterm.engine.texts import rendered, tokenized
from chatterm.errors import UserError
from chatterm.records.generation import Chat, ControlSpan, Message, Tokens

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PHI = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


class Engine:
    """Cuts texts as the engine process does."""

    def __init__(self, tokenizer: Tokenizer, template: ChatTemplate | PlainDialogue | None = None) -> None:
        self.tokenizer = tokenizer
        self.template = template or PlainDialogue()

    async def tokenize(self, text: str, *, control: tuple[ControlSpan, ...] = ()) -> Tokenized:
        return tokenized(Tokenize(request=1, text=text, control=control), self.tokenizer)

    def render(self, *contents: str) -> Rendered:
        roles = ("user", "assistant")
        messages = tuple(Message(roles[n % 2], text) for n, text in enumerate(contents))
        return rendered(Render(request=1, chat=Chat(messages)), self.tokenizer, self.template)

    def of_ids(self, ids: Sequence[int]) -> Rendered:
        return rendered(Render(request=1, chat=Tokens(tuple(ids))), self.tokenizer, self.template)

    def cut(self, raw: RawText) -> list[int]:
        return [token for token, _text in asyncio.run(raw.cut(self))]  # type: ignore[arg-type]


def ids(found: Rendered) -> list[int]:
    return [token.id for token in found.tokens]


@pytest.fixture(scope="module")
def chatml(default_tokenizer: Tokenizer) -> Engine:
    return Engine(default_tokenizer, ChatTemplate(CHATML, "a test"))


@pytest.fixture(scope="module")
def beginning(default_metadata: Mapping[str, Any]) -> Engine:
    """The default model's vocabulary, with a beginning token that it adds before every text."""
    changed = {"tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.add_bos_token": True}
    return Engine(tokenizer_from_gguf({**default_metadata, **changed}), ChatTemplate(CHATML, "a test"))


@pytest.fixture(scope="module")
def spaced(vocabulary: Callable[[str], Tokenizer]) -> Engine:
    """Llama 2: a beginning token, and a space before every text."""
    return Engine(vocabulary("llama-spm"))


def test_what_nobody_edited_is_what_was_rendered(beginning: Engine, spaced: Engine) -> None:
    for engine in (beginning, spaced):
        found = engine.render("What is 水?", "Water.", "And 火? 🙂")
        raw = RawText(found)
        assert engine.cut(raw) == ids(found)
        assert raw.shown == engine.tokenizer.piece(ids(found)[0]) + found.text


def test_an_unseen_beginning_token_is_shown_and_stays_while_the_end_is_edited(
    beginning: Engine, spaced: Engine
) -> None:
    for engine in (beginning, spaced):
        found = engine.render("hello there")
        raw = RawText(found)
        raw.edit(raw.shown + " Sure, it is")
        assert engine.cut(raw) == engine.tokenizer.encode(
            found.text + " Sure, it is", special=True, add_bos=True
        )


def test_a_beginning_token_that_the_user_deletes_is_gone(beginning: Engine, spaced: Engine) -> None:
    for engine in (beginning, spaced):
        found = engine.render("hello there")
        raw = RawText(found)
        name = engine.tokenizer.piece(ids(found)[0])
        raw.edit(raw.shown.removeprefix(name))
        assert engine.cut(raw) == ids(found)[1:]
        raw.edit(name[1:] + found.text)
        assert engine.cut(raw) == engine.tokenizer.encode(name[1:] + found.text, special=True), (
            "a rest is text"
        )
        raw.edit(name + found.text)
        assert engine.cut(raw) == ids(found), "and it is there again when it is written again"


def test_all_can_be_replaced_but_the_beginning_token(spaced: Engine) -> None:
    raw = RawText(spaced.render("hello"))
    raw.edit("<s>苹果 = apple\n书 =")
    assert spaced.cut(raw) == spaced.tokenizer.encode("苹果 = apple\n书 =", add_bos=True)
    raw.edit("<s>")
    assert spaced.cut(raw) == [1]
    raw.edit("")
    with pytest.raises(UserError, match="no text"):
        spaced.cut(raw)


EDITS = [
    ("book", "books"),  # at the seam two tokens become one
    ("a book, and a tea", "a book"),
    ("one", "on"),
    ("", "苹果 🙂"),
    ("x", "x\n\n"),
    ("wait ", "wait"),
    ("<|im_end|> is what ends it", "<|im_end|> is what ends it all"),  # plain text stays plain text
    ("a <|endoftext|> b", "a <|endoftext|> c"),
]


@pytest.mark.parametrize(("before", "after"), EDITS)
@pytest.mark.parametrize("kind", ["chatml", "beginning"])
def test_an_edited_message_has_the_tokens_that_the_template_gives_it(
    kind: str, before: str, after: str, request: pytest.FixtureRequest
) -> None:
    engine: Engine = request.getfixturevalue(kind)
    given = engine.render(f"q {before} q", "an answer", "and more")
    wanted = engine.render(f"q {after} q", "an answer", "and more")
    raw = RawText(given)
    raw.edit(raw.shown.removesuffix(given.text) + wanted.text)
    assert engine.cut(raw) == ids(wanted)


def test_the_template_of_phi_keeps_its_line_ends(vocabulary: Callable[[str], Tokenizer]) -> None:
    """Its control tokens swallow the white space behind them."""
    engine = Engine(vocabulary("phi-3"), ChatTemplate(PHI, "a test"))
    found, wanted = engine.render("hello", "yes", "so"), engine.render("hello", "no", "so")
    raw = RawText(found)
    raw.edit(raw.shown.replace("yes", "no"))
    assert engine.cut(raw) == ids(wanted)
    raw.edit(raw.shown.replace("<|user|>\n", "<|user|>", 1))
    assert engine.cut(raw)[:2] == ids(wanted)[:2], "a control token without its line end is still one"


def test_names_that_the_user_writes_are_control_tokens_if_they_stood_there(chatml: Engine) -> None:
    end, start = chatml.tokenizer.id_of("<|im_end|>"), chatml.tokenizer.id_of("<|im_start|>")
    found = chatml.render("hello")
    raw = RawText(found)
    raw.edit(raw.shown + "Yes.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n")
    assert chatml.cut(raw) == ids(chatml.render("hello", "Yes.", "Why?"))
    raw = RawText(found)
    raw.edit(raw.shown + "<|endoftext|><|im_stop|><|im_end|")
    assert chatml.cut(raw).count(end) == 1 and chatml.cut(raw).count(start) == 2
    assert chatml.tokenizer.id_of("<|endoftext|>") not in chatml.cut(raw), "other names are text"


def test_text_of_a_message_that_is_called_like_a_control_token_stays_text(chatml: Engine) -> None:
    end = chatml.tokenizer.id_of("<|im_end|>")
    raw = RawText(chatml.render("say <|im_end|> now"))
    was = raw.shown
    assert chatml.cut(raw).count(end) == 1
    raw.edit(was + "Sure")
    assert chatml.cut(raw).count(end) == 1, "somewhere else was edited"
    raw.edit(was.replace("say", "tell", 1) + "Sure")
    assert chatml.cut(raw).count(end) == 1, "beside it was edited"
    raw.edit(was.replace("say <|im_end|>", "say", 1) + "Sure")
    raw.edit(was.replace("say", "tell", 1) + "Sure")  # taken back
    assert chatml.cut(raw).count(end) == 1, "an undone edit gives the same tokens"


def test_a_cursor_tells_where_something_was_written(chatml: Engine) -> None:
    end = chatml.tokenizer.id_of("<|im_end|>")
    raw = RawText(chatml.render("a <|im_end|>b"))
    place = raw.shown.index("<|im_end|>")
    raw.edit(raw.shown[:place] + "<|" + raw.shown[place:], place + 2)
    assert chatml.cut(raw).count(end) == 1, "in front of it, where the text stays whole"


def test_line_ends_that_an_editor_shows_alike_are_sent_as_they_were(chatml: Engine) -> None:
    content = "one\r\ntwo\u2028three\x0bfour\rfive"
    raw = RawText(chatml.render(content))
    assert raw.shown.splitlines()[1:5] == ["one", "two", "three", "four"]
    assert "\r" not in raw.shown
    raw.edit(raw.shown.replace("five", "six"))
    assert chatml.cut(raw) == ids(chatml.render(content.replace("five", "six")))


def test_untouched_stretches_are_not_asked_for_again(chatml: Engine) -> None:
    """Their tokens are those that were sent, also where cutting their text would give others."""
    found = chatml.render("hello", "answer", "more")
    odd = [*ids(found)]
    place = odd.index(chatml.tokenizer.encode("answer")[0])
    odd[place : place + 1] = chatml.tokenizer.encode("ans") + chatml.tokenizer.encode("wer")
    raw = RawText(chatml.of_ids(odd))
    assert chatml.cut(raw) == odd
    raw.edit(raw.shown.replace("more", "less"))
    assert chatml.cut(raw) == [*odd[:-8], *ids(chatml.render("hello", "answer", "less"))[-8:]]


def test_tokens_are_read_as_the_text_that_they_came_from(beginning: Engine, spaced: Engine) -> None:
    for engine in (beginning, spaced):
        found = engine.render("hello 🙂 <|im_end|> 苹果")
        again = engine.of_ids(ids(found))
        assert (again.text, ids(again)) == (found.text, ids(found))
        assert RawText(again).shown == RawText(found).shown
        raw, other = RawText(found), RawText(again)
        for one in (raw, other):
            one.edit(one.shown.replace("hello", "hi"))
        assert engine.cut(raw) == engine.cut(other)
    half = ids(spaced.render("🙂"))[:-20]
    assert ids(spaced.of_ids(half)) == half


def test_transformers_cuts_an_edited_text_into_the_same_tokens(chatml: Engine, default_folder: Path) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(default_folder)
    raw = RawText(chatml.render("one two", "three", "four"))
    for old, new in (
        ("two", "twofold 水"),
        ("three", ""),
        ("assistant\n", "assistant\nSure"),
        ("four", "4\n4"),
    ):
        raw.edit(raw.shown.replace(old, new))
        assert chatml.cut(raw) == theirs(raw.shown, add_special_tokens=False).input_ids


def test_spans_that_make_no_sense_are_refused(chatml: Engine) -> None:
    for spans in (
        (ControlSpan(1, 2, 2),),
        (ControlSpan(1, 0, 9),),
        (ControlSpan(1, 1, 2), ControlSpan(1, 0, 1)),
    ):
        with pytest.raises(UserError, match="one after the other"):
            asyncio.run(chatml.tokenize("abcd", control=spans))
    with pytest.raises(UserError, match="Token 500 is no control token"):
        asyncio.run(chatml.tokenize("abcd", control=(ControlSpan(500, 0, 1),)))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_is_done_can_be_undone(chatml: Engine, data: st.DataObject) -> None:
    found = chatml.render("say <|im_end|> aa aa", "aa", "b\r\nb")
    raw = RawText(found)
    states = [(raw.shown, chatml.cut(raw))]
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(raw.shown)))
        end = data.draw(st.integers(start, min(start + 12, len(raw.shown))))
        put = data.draw(st.sampled_from(["", "a", "aa", "<|im_end|>", "<|im", "\n", "水"]))
        raw.edit(raw.shown[:start] + put + raw.shown[end:], start + len(put))
        if raw.shown:
            states.append((raw.shown, chatml.cut(raw)))
    for shown, cut in reversed(states):
        raw.edit(shown)
        assert chatml.cut(raw) == cut
    assert states[0][1] == ids(found)
