"""Chat templates render exactly as transformers renders them: every template in llama.cpp's collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

from chatterm.checkpoint.template import (
    ChatTemplate,
    chat_template,
    encode_chat,
    template_in_folder,
    template_in_gguf,
)
from chatterm.checkpoint.template.messages import TemplateRefusedError, Turn
from chatterm.checkpoint.tokenizer import Tokenizer, tokenizer_from_folder

NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
USER, ASSISTANT, SYSTEM = "user", "assistant", "system"
CONVERSATIONS: dict[str, list[Turn]] = {
    "one question": [Turn(USER, "Hi there")],
    "system prompt": [Turn(SYSTEM, "Be terse. "), Turn(USER, "Hi")],
    "turns": [Turn(USER, "a\n"), Turn(ASSISTANT, "b <b>&amp;"), Turn(USER, " c\"é' 苹果 {{ 1 }}")],
    "system prompt and turns": [
        Turn(SYSTEM, "S"),
        Turn(USER, "a"),
        Turn(ASSISTANT, "b"),
        Turn(USER, "c"),
        Turn(ASSISTANT, "d"),
        Turn(USER, "e"),
    ],
    "a thought": [Turn(USER, "a"), Turn(ASSISTANT, "<think>\nhm\n</think>\n\nb"), Turn(USER, "c")],
}
PARTIAL = Turn(ASSISTANT, "Partial ans ")
NEED_TOOLS = {
    "CohereForAI-c4ai-command-r-plus-tool_use",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
    "fireworks-ai-llama-3-firefunction-v2",
}


def test_every_template_and_conversation(llama_cpp_models: Path) -> None:
    paths = sorted((llama_cpp_models / "templates").glob("*.jinja"))
    assert len(paths) >= 60
    for path in paths:
        template = ChatTemplate(path.read_text("utf-8"), path.name, NAMES)
        rendered = [
            _compare(template, name, mode) for name in CONVERSATIONS for mode in ("reply", "none", "continue")
        ]
        assert any(rendered) or path.stem in NEED_TOOLS, path.name


def _compare(template: ChatTemplate, name: str, mode: str) -> bool:
    """Asserts that both render the same or both refuse; says which."""
    turns = CONVERSATIONS[name] + ([PARTIAL] if mode == "continue" else [])
    try:
        (theirs,), _ = render_jinja_template(
            [[turn._asdict() for turn in turns]],
            chat_template=template.text,
            add_generation_prompt=mode == "reply",
            continue_final_message=mode == "continue",
            **NAMES,
        )
    except Exception:  # whatever the template raises
        with pytest.raises(TemplateRefusedError):
            template.apply(turns, continue_reply=mode == "continue", reply=mode == "reply")
        return False
    assert template.apply(turns, continue_reply=mode == "continue", reply=mode == "reply") == theirs, (
        f"{template.source}: {name}, {mode}"
    )
    return True


@pytest.mark.parametrize("vocabulary_name", ["qwen2", "phi-3", "command-r", "gemma-4"])
def test_the_templates_of_vocabularies_encode_as_one_text(
    vocabulary_name: str,
    vocabulary: Callable[[str], Tokenizer],
    vocabulary_metadata: Callable[[str], Mapping[str, Any]],
) -> None:
    tokenizer = vocabulary(vocabulary_name)
    found = template_in_gguf(vocabulary_metadata(vocabulary_name))
    assert found is not None
    template = chat_template(found, tokenizer)
    for name, turns in CONVERSATIONS.items():
        if name == "a thought":
            continue
        prompt = encode_chat(tokenizer, template, turns)
        backend_ids = tokenizer.encode(prompt.text, special=True)
        assert prompt.ids[-len(backend_ids) :] == backend_ids
        assert prompt.ids.count(tokenizer.bos_id) <= 1 or not tokenizer.adds_bos
        assert not tokenizer.adds_bos or prompt.ids[0] == tokenizer.bos_id


@pytest.mark.parametrize("name", [name for name in CONVERSATIONS if name != "a thought"])
def test_the_default_model_gets_the_ids_of_transformers(
    name: str, default_folder: Path, default_tokenizer: Tokenizer, default_metadata: Mapping[str, Any]
) -> None:
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(default_folder)
    from_folder, from_gguf = template_in_folder(default_folder), template_in_gguf(default_metadata)
    assert from_folder is not None
    assert from_gguf is not None
    for tokenizer, found in (
        (tokenizer_from_folder(default_folder), from_folder),
        (default_tokenizer, from_gguf),
    ):
        template = chat_template(found, tokenizer)
        for partial in (False, True):
            turns = CONVERSATIONS[name] + ([PARTIAL] if partial else [])
            expected = theirs.apply_chat_template(
                [turn._asdict() for turn in turns],
                add_generation_prompt=not partial,
                continue_final_message=partial,
                return_dict=False,
            )
            assert encode_chat(tokenizer, template, turns, continue_reply=partial).ids == expected
