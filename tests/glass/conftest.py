"""Fixtures of the glass box's tests: tiny random checkpoints of many families."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.parity import reference
from benchmarks.parity.cases import CASES
from chatterm.checkpoint.open import open_checkpoint
from chatterm.decode.context import Context
from chatterm.model.decoder import Decoder
from chatterm.model.load import load_decoder


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_decoder(tmp_path_factory) -> Callable[[str], Decoder]:
    """The float32 decoder of a case of the parity table, by its name; each is made once."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()

    @cache
    def make(name: str) -> Decoder:
        (case,) = [case for case in CASES if case.name == name]
        folder = tmp_path_factory.mktemp("tiny")
        reference.save(case, reference.make_model(case), folder)
        return load_decoder(open_checkpoint(folder), threads=0)

    return make


FAMILIES = [
    "llama, untied",
    "llama, all biases",
    "gpt2, tied",
    "gpt_neox, parallel",
    "falcon, one key",
    "phi, half rotary",
    "gemma2, tight soft-caps",
    "gemma3_text, windows, two rotary bases",
    "cohere2, windows, full layers without rotary",
    "granite, multipliers",
    "olmo2, grouped",
    "phi3, window, old keys",
]
"""Norms of both kinds, before and behind, biases, parallel blocks, multipliers, caps, windows, no rotary."""

TEXT = torch.randint(3, 128, (40,), generator=torch.Generator().manual_seed(5)).tolist()


@pytest.fixture(params=FAMILIES)
def context(request, tiny_decoder) -> Context:
    """A context of each family that has read 40 tokens."""
    context = Context(tiny_decoder(request.param), 64)
    for _ in context.read(TEXT):
        pass
    return context
