"""Which tokens are control tokens, and which of them end a reply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_CONTROL_NAMES = frozenset({"<pad>", "<mask>", "<2mass>", "[@BOS@]", "<start_of_turn>", "<end_of_turn>"})

END_NAMES = frozenset(
    {
        "<|eot_id|>",
        "<|eom_id|>",
        "<|im_end|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|calls|>",
        "<|flush|>",
        "<end_of_turn>",
        "<turn|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<|end_of_turn|>",
        "<|END_OF_TURN_TOKEN|>",
        "<end_of_utterance>",
        "<｜end▁of▁sentence｜>",
        "<EOT>",
        "_<EOT>",
        "[EOT]",
        "[EOS]",
        "<eos>",
        "</s>",
        "[e~[",
    }
)
"""Control tokens that end a reply whatever the checkpoint's own list says, by name. Converters often name
only one of them; a model that emits another one would never stop."""


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


def end_tokens(control: Mapping[str, int], stated: Iterable[int]) -> frozenset[int]:
    """Ids that end a reply: those the checkpoint states and the well-known names among its control tokens.

    `<|end|>` only separates messages where the vocabulary has other names for the end of a turn (gpt-oss).
    """
    named = {name: token for name, token in control.items() if name in END_NAMES}
    ends = frozenset(named.values()) | frozenset(stated)
    separates = {"<|call|>", "<|return|>"} <= named.keys() or {"<|calls|>", "<|flush|>"} <= named.keys()
    return ends - {named["<|end|>"]} if separates and "<|end|>" in named else ends
