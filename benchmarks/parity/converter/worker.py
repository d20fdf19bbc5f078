"""Runs llama.cpp's converter for one folder after another: `python worker.py FOLDER_OF_THE_CONVERTER`.

A process of its own, because the converter brings its own newer `gguf`. One JSON line asks (`arguments`: the
converter's own; `raw`: transformers is not asked what config.json means, as with a release that does not know
the model), one answers (null, or why it failed).
"""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import redirect_stdout
from typing import Any


def main() -> None:
    """Answer until nothing more is asked."""
    sys.path.insert(0, sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints must not stand among the answers
    import convert_hf_to_gguf as converter
    from conversion import base
    from conversion.base import TextModel
    from transformers import AutoConfig

    logging.disable(logging.WARNING)
    # the one question that only published tokenizers can answer: whose hash is it
    TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
    _without_mistral_common(converter, base)
    for line in sys.stdin:
        asked = json.loads(line)
        sys.argv[1:] = asked["arguments"]
        base.AutoConfig = _Unknowing if asked["raw"] else AutoConfig
        answers.write(json.dumps(_converted(converter)) + "\n")
        answers.flush()


class _Unknowing:
    """In place of transformers' `AutoConfig`: knows no model."""

    @staticmethod
    def from_pretrained(folder: Any, **options: Any) -> None:
        raise ValueError("not known")


def _without_mistral_common(converter: Any, base: Any) -> None:
    """Mistral's own format asks for a tokenizer library; what is compared here are tokens' numbers."""
    from conversion import mistral

    converter._mistral_common_installed = base._mistral_common_installed = True
    mistral.MistralModel.set_vocab = lambda self: self._set_vocab_none()


def _converted(converter: Any) -> str | None:
    try:
        with redirect_stdout(sys.stderr):
            converter.main()
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    main()
