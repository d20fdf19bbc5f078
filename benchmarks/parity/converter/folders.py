"""The folder of a variant: a random checkpoint saved by transformers, with a small tokenizer beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.parity import reference
from benchmarks.parity.converter.variant import VOCABULARY, Variant

_TEXT = [
    "the tide comes in and the tide goes out, high at noon and low at dusk",
    "one two three four five six seven eight nine ten eleven twelve",
    "Hello there! What is a fjord? A drowned valley between steep mountains.",
    "a wren, a robin, a heron and a crane stood beside the quiet river",
]


def make(variant: Variant, folder: Path) -> nn.Module:
    """Write the checkpoint of a variant into `folder`; the model as it is in memory, float32."""
    model = reference.make_model(variant.case())
    bare = model.base_model if variant.bare else model
    bare.save_pretrained(folder)
    _edit(folder / "config.json", variant)
    for name, content in variant.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content), "utf-8")
    _write_tokenizer(folder, variant.family)
    if variant.mistral_format:
        _write_mistral_format(model, folder, variant)
    return model


def _edit(path: Path, variant: Variant) -> None:
    config = json.loads(path.read_text("utf-8")) | variant.edits
    if variant.old_keys:
        config = reference.to_old_style(config)
    path.write_text(json.dumps({key: value for key, value in config.items() if value != "-"}), "utf-8")


# --- tokenizers -----------------------------------------------------------------------------------------


def _write_tokenizer(folder: Path, family: str) -> None:
    if family in ("gemma", "gemma2"):
        (folder / "tokenizer.model").write_bytes(_sentencepiece())
    else:
        (folder / "tokenizer.json").write_text(_byte_level(), "utf-8")
    # the converter looks for this class in Phi-4; others would get tokens of their family's class beyond
    # the model
    kind = "GPT2Tokenizer" if family == "phi3" else "PreTrainedTokenizerFast"
    settings = {"tokenizer_class": kind, "eos_token": "<|end|>", "bos_token": "<|start|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")


@cache
def _byte_level() -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>", "<|start|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT, trainer)
    text: str = tokenizer.to_str()
    return text


@cache
def _sentencepiece() -> bytes:
    import io

    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(_TEXT),
        model_writer=model,
        vocab_size=VOCABULARY,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return model.getvalue()


# --- Mistral's own format -------------------------------------------------------------------------------

_NAMES = {
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
    "model.embed_tokens": "tok_embeddings",
    "model.norm": "norm",
    "lm_head": "output",
    "model.layers.": "layers.",
}


def _write_mistral_format(model: nn.Module, folder: Path, variant: Variant) -> None:
    """`params.json` and `consolidated.safetensors`; rotary pairs are neighbouring rows there."""
    config: Any = model.config
    params = {
        "dim": config.hidden_size,
        "n_layers": config.num_hidden_layers,
        "head_dim": config.head_dim,
        "hidden_dim": config.intermediate_size,
        "n_heads": config.num_attention_heads,
        "n_kv_heads": config.num_key_value_heads,
        "norm_eps": config.rms_norm_eps,
        "vocab_size": config.vocab_size,
        "rope_theta": config.rope_parameters["rope_theta"],
        "max_position_embeddings": config.max_position_embeddings,
        **variant.mistral_params,
    }
    (folder / "params.json").write_text(json.dumps(params), "utf-8")
    save_file(dict(_mistral_tensors(model, config)), folder / "consolidated.safetensors")


def _mistral_tensors(model: nn.Module, config: Any) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in model.state_dict().items():
        weight = tensor
        if "q_proj" in name or "k_proj" in name:
            heads = tensor.shape[0] // config.head_dim
            halves = tensor.view(heads, 2, config.head_dim // 2, -1)
            weight = halves.transpose(1, 2).reshape(tensor.shape)
        for ours, theirs in _NAMES.items():
            name = name.replace(ours, theirs)
        yield name, weight.contiguous()
