"""Which tokens are control tokens, and which of them end a reply."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import tokenizers

_CONTROL_NAMES = frozenset({"<pad>", "<mask>", "<2mass>", "[@BOS@]", "<start_of_turn>", "<end_of_turn>"})

END_NAMES = frozenset(
    {
        *(
            "<|eot_id|>",
            "<|eom_id|>",
            "<|im_end|>",
            "<|end|>",
            "<|return|>",
            "<|call|>",
            "<|calls|>",
            "<|flush|>",
        ),
        *("<end_of_turn>", "<turn|>", "<|tool_response>", "<|end_of_turn|>", "<|END_OF_TURN_TOKEN|>"),
        *("<|endoftext|>", "<|end_of_text|>", "<end_of_utterance>", "<｜end▁of▁sentence｜>", "<|plamo:eos|>"),
        *("<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<eos>", "</s>", "[e~["),
        *("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<|file_sep|>"),
        *("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"),
    }
)
"""Control tokens that end a reply whatever the checkpoint's own list says, by name: those of llama.cpp
(`src/llama-vocab.cpp`, with what separates the files of a repository), and some more. Converters often name
only one of them; a model that emits another one would never stop."""

_FILLING_NAMES = frozenset(
    {
        *("<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>"),
        *("<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>"),
        *("<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>"),
        *("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>", "<|prefix|>", "<|suffix|>", "<|middle|>"),
    }
)
"""Around a gap that is to be filled."""

MARKER_NAMES = END_NAMES | _FILLING_NAMES
"""Names that steer a model, whatever type a file gives them, unless text is cut into them as into words."""

SURE_NAMES = MARKER_NAMES - {"</s>"}
"""Those that steer a model also where they are looked for in any text: `</s>` is HTML in Gemma and Phi-3."""

_WHERE_HTML = frozenset({"<|tool_response>", "<|plamo:eos|>"})
"""Vocabularies with one of these (Gemma 4, PLaMo) have `</s>` as an ordinary word, as llama.cpp knows."""

_BRACKETED = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")


def looks_like_control(token: str) -> bool:
    """Whether a token that a checkpoint calls ordinary is a control token by its shape.

    Checkpoints mark some of their turn markers as ordinary added tokens; llama.cpp's converter goes by the
    same shapes, so that both forms of a checkpoint agree.
    """
    return (
        token in _CONTROL_NAMES
        or (token.startswith("<|") and token.endswith("|>") and len(token) > 4)
        or (token.startswith("<｜") and token.endswith("｜>"))
        or (token.startswith("<unused") and token.endswith(">"))
    )


def marker_ids(ids: Mapping[str, int]) -> set[int]:
    """The tokens of a vocabulary that have one of `MARKER_NAMES`."""
    found = {ids[name] for name in MARKER_NAMES if name in ids}
    return found - {ids["</s>"]} if "</s>" in ids and not _WHERE_HTML.isdisjoint(ids) else found


def is_bracketed(token: str) -> bool:
    """Whether a token has the shape of a marker: `<s>`, `[BOS]`."""
    return _BRACKETED.fullmatch(token) is not None


def is_word(backend: tokenizers.Tokenizer, token: int, *, bytes_: bool) -> bool:
    """Whether a token of a vocabulary to which nothing was added is what its own text is cut into.

    Words and pieces of words are; markers that a model was taught later are cut into letters.
    """
    name = backend.id_to_token(token)
    if name is None:
        return False
    if not bytes_:
        return [piece.id for piece in backend.model.tokenize(name)] == [token]
    text = backend.decoder.decode([name])
    return list(backend.encode(text, add_special_tokens=False).ids) == [token]


def end_tokens(control: Mapping[str, int], stated: Iterable[int]) -> frozenset[int]:
    """Ids that end a reply: those the checkpoint states and the well-known names among its control tokens.

    `<|end|>` only separates messages where the vocabulary has other names for the end of a turn (gpt-oss),
    and `</s>` is HTML where the end has another name that only some have (Gemma 4, PLaMo).
    """
    named = {name: token for name, token in control.items() if name in END_NAMES}
    ends = frozenset(named.values()) | frozenset(stated)
    calls = not named.keys().isdisjoint({"<|call|>", "<|calls|>"})
    if calls and not named.keys().isdisjoint({"<|return|>", "<|flush|>"}):
        ends -= {named.get("<|end|>")}
    if not named.keys().isdisjoint(_WHERE_HTML):
        ends -= {named.get("</s>")}
    return ends
