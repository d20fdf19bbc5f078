"""Which tokens a plain text begins with, where a checkpoint folder says it in two places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import tokenizers

from chatterm.checkpoint.tokenizer.outline import broken_tokenizer


class Beginning(NamedTuple):
    """What a text begins with.

    Attributes:
        tokens: put before every text.
        bos_id: the beginning token, whether or not texts begin with it; None if there is none.
        notices: sentences for the user about what contradicts it.
    """

    tokens: tuple[int, ...]
    bos_id: int | None
    notices: tuple[str, ...] = ()


def put_before(backend: tokenizers.Tokenizer, source: str) -> tuple[int, ...]:
    """The tokens that the post-processing of a `tokenizer.json` puts before a text.

    Raises:
        UserError: it cannot process anything.
    """
    with broken_tokenizer(f"{source} is not usable as a tokenizer"):
        encoding = backend.encode("a", add_special_tokens=True)
        if not encoding.ids or backend.post_processor is None:
            return ()
        own = [mask == 0 for mask in encoding.special_tokens_mask]
        if True not in own:  # the vocabulary has nothing for the letter: all stands before it, or after
            return tuple(encoding.ids[:1])
        return tuple(encoding.ids[: own.index(True)])


def beginning(
    config: Mapping[str, Any], processed: tuple[int, ...] | None, bos_id: int | None, default: bool
) -> Beginning:
    """What texts begin with.

    `tokenizer.json` says it by its post-processing; transformers goes by that and no longer by the flag
    `add_bos_token`, which counts for the older files that have no post-processing.

    Args:
        config: `tokenizer_config.json`.
        processed: what the post-processing puts before a text; None for other files than `tokenizer.json`.
        bos_id: the token that the configuration names.
        default: whether texts begin with it where nothing is said.
    """
    flag = config.get("add_bos_token")
    if processed is None:
        wanted = flag if isinstance(flag, bool) else default
        return Beginning((bos_id,) if wanted and bos_id is not None else (), bos_id)
    notices = () if not isinstance(flag, bool) or flag == bool(processed) else (_CONTRADICTION[flag],)
    return Beginning(processed, processed[0] if processed else bos_id, notices)


_CONTRADICTION = {
    True: "tokenizer_config.json says that texts begin with a beginning token and tokenizer.json adds "
    "none; as in transformers, none is added.",
    False: "tokenizer_config.json says that texts begin without a beginning token and tokenizer.json adds "
    "one; as in transformers, it is added.",
}
"""By what the flag says."""
