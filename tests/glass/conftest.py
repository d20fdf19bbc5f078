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
