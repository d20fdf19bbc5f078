"""The real default model: exact, with and without its cache."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch

from chatterm.checkpoint.gguf import GGUFFile
from chatterm.checkpoint.open import Checkpoint, open_checkpoint
from chatterm.model.decoder import Decoder
from chatterm.model.load import load_decoder

TEXT = ["The", "Ġbest", "Ġthing", "Ġabout", "ĠAI", "Ġis", "Ġits", "Ġability", "Ġto"]

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def checkpoint(default_model_path) -> Checkpoint:
    return open_checkpoint(default_model_path)


@pytest.fixture(scope="module")
def decoder(checkpoint) -> Decoder:
    return load_decoder(checkpoint, context=256)


@pytest.fixture(scope="module")
def tokens(checkpoint) -> torch.Tensor:
    vocabulary = checkpoint.gguf.metadata["tokenizer.ggml.tokens"]
    return torch.tensor([vocabulary.index(piece) for piece in TEXT])


def dequantised_reference(file: GGUFFile) -> torch.nn.Module:
    """The same weights in transformers' own Llama, unpacked and un-permuted without chatterm's code."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        rms_norm_eps=file.metadata["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        tie_word_embeddings=True,
    )
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 30)
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    weights = {}
    for name in model.state_dict():
        tensor = file.tensors[names.get_name(name.replace("lm_head", "model.embed_tokens"), (".weight",))]
        array = gguf.dequantize(tensor.data, tensor.type).reshape(tensor.shape)
        if "q_proj" in name or "k_proj" in name:
            heads = 9 if "q_proj" in name else 3
            array = array.reshape(heads, 32, 2, 576).swapaxes(1, 2).reshape(tensor.shape)
        weights[name] = torch.from_numpy(np.ascontiguousarray(array))
    model.load_state_dict(weights, assign=True)
    model.model.rotary_emb = type(model.model.rotary_emb)(config)  # was made without data
    return model.eval()


def test_log_probabilities_agree_with_transformers(checkpoint, decoder, tokens, quiet_transformers):
    reference = dequantised_reference(checkpoint.gguf)
    with torch.no_grad():
        expected = reference(tokens[None]).logits[0].log_softmax(-1)
    ours = decoder(tokens, decoder.new_cache(), last_only=False).log_softmax(-1)
    assert (ours - expected).abs().max() < 1e-4


def test_make_leads_after_the_sentence_of_the_documents(checkpoint, decoder, tokens):
    probabilities = decoder(tokens, decoder.new_cache()).softmax(-1)
    best = int(probabilities.argmax())
    assert checkpoint.gguf.metadata["tokenizer.ggml.tokens"][best] == "Ġmake"
    assert 0.16 < float(probabilities[best]) < 0.18


def test_greedy_decoding_with_the_cache_equals_the_uncached_forward_token_for_token(decoder, tokens):
    cache = decoder.new_cache()
    logits, cached = decoder(tokens, cache), []
    for _ in range(24):
        cached.append(int(logits.argmax()))
        logits = decoder(torch.tensor(cached[-1:]), cache)
    text = torch.cat([tokens, torch.tensor(cached)])
    uncached = decoder(text, decoder.new_cache(), last_only=False).argmax(-1)
    assert uncached[len(tokens) - 1 : -1].tolist() == cached


def test_what_it_says_about_itself(checkpoint):
    assert (checkpoint.family, checkpoint.format, checkpoint.quantisation) == ("llama", "gguf", "Q4_1")
    assert checkpoint.parameters == 134_515_008
    assert checkpoint.architecture.context == 8192
