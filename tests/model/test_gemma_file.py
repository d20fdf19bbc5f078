"""A real mixed-type GGUF of another family: Gemma 3 270M (base)."""

from __future__ import annotations

import pytest
import torch

from chatterm.checkpoint.gguf import read_gguf
from chatterm.checkpoint.open import Checkpoint, open_checkpoint
from chatterm.model.decoder import Decoder
from chatterm.model.load import load_decoder


@pytest.fixture(scope="module")
def checkpoint(gemma_path) -> Checkpoint:
    return open_checkpoint(gemma_path)


@pytest.fixture(scope="module")
def decoder(checkpoint) -> Decoder:
    return load_decoder(checkpoint, context=1024)


def pieces(checkpoint: Checkpoint, text: str) -> torch.Tensor:
    vocabulary = {
        piece: number for number, piece in enumerate(checkpoint.gguf.metadata["tokenizer.ggml.tokens"])
    }
    return torch.tensor([2, *(vocabulary[piece] for piece in text.split())])  # 2 = <bos>


def test_it_tells_its_family_and_its_mixture_of_blocks(checkpoint):
    assert checkpoint.family == "gemma3"
    assert set(checkpoint.quantisation.split("/")) == {"Q8_0", "Q5_0", "Q4_K"}
    assert {tensor.type.name for tensor in checkpoint.gguf.tensors.values()} >= {
        "Q8_0",
        "Q5_0",
        "Q4_K",
        "Q6_K",
        "F32",
    }
    assert checkpoint.parameters == 268_098_176
    windows = [layer.window for layer in checkpoint.architecture.layer_options]
    assert windows[:6] == [512] * 5 + [None]


def test_it_continues_text_sensibly(checkpoint, decoder):
    vocabulary = checkpoint.gguf.metadata["tokenizer.ggml.tokens"]
    for text, expected in [
        ("The ▁capital ▁of ▁France ▁is", "▁Paris"),
        ("One , ▁two , ▁three , ▁four ,", "▁five"),
        ("The ▁opposite ▁of ▁hot ▁is", "▁cold"),
    ]:
        best = decoder(pieces(checkpoint, text), decoder.new_cache()).topk(3).indices.tolist()
        assert expected in [vocabulary[token] for token in best], text


def test_decoding_past_its_window_equals_reading_in_one_go(decoder):
    tokens = torch.randint(100, 5000, (518,), generator=torch.Generator().manual_seed(0))
    whole = decoder(tokens, decoder.new_cache()).log_softmax(-1)
    cache = decoder.new_cache()
    decoder(tokens[:514], cache)
    for token in tokens[514:]:
        stepped = decoder(token.view(1), cache)
    assert (stepped.log_softmax(-1) - whole).abs().max() < 1e-4


def test_its_vocabulary_of_262_144_is_read(gemma_path):
    assert len(read_gguf(gemma_path).metadata["tokenizer.ggml.tokens"]) == 262_144
    assert "tokenizer.ggml.tokens" not in read_gguf(gemma_path, arrays=False).metadata
