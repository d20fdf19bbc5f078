"""Small whole checkpoints that load and talk, in both formats, for the campaigns that damage them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import save_file
from tokenizers.pre_tokenizers import ByteLevel

NAMED = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
PIECES = (*sorted(ByteLevel.alphabet()), "he", "ll", "hell", "Ġw", "or", *NAMED)
VOCABULARY = len(PIECES)
MERGES = ("h e", "l l", "he ll", "Ġ w", "o r")
WIDTH, FFN, LAYERS, HEADS, KV_HEADS, CONTEXT = 32, 64, 2, 4, 2, 256
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": WIDTH,
    "intermediate_size": FFN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": {"rope_type": "linear", "factor": 2.0},
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "bos_token_id": VOCABULARY - 4,
    "eos_token_id": [VOCABULARY - 3],
}
GENERATION: dict[str, Any] = {
    "temperature": 0.7,
    "top_k": 20,
    "top_p": 0.9,
    "do_sample": True,
    "repetition_penalty": 1.1,
    "eos_token_id": VOCABULARY - 3,
}


def shapes() -> dict[str, tuple[int, ...]]:
    """The tensors by their names in safetensors."""
    key = WIDTH // HEADS * KV_HEADS
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCABULARY, WIDTH),
        "model.norm.weight": (WIDTH,),
    }
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        found |= {
            f"{at}input_layernorm.weight": (WIDTH,),
            f"{at}post_attention_layernorm.weight": (WIDTH,),
            f"{at}self_attn.q_proj.weight": (WIDTH, WIDTH),
            f"{at}self_attn.k_proj.weight": (key, WIDTH),
            f"{at}self_attn.v_proj.weight": (key, WIDTH),
            f"{at}self_attn.o_proj.weight": (WIDTH, WIDTH),
            f"{at}mlp.gate_proj.weight": (FFN, WIDTH),
            f"{at}mlp.up_proj.weight": (FFN, WIDTH),
            f"{at}mlp.down_proj.weight": (WIDTH, FFN),
        }
    return found


def arrays(kind: type[np.floating[Any]] = np.float32) -> dict[str, np.ndarray[Any, Any]]:
    """Their numbers, at random."""
    rng = np.random.default_rng(1)
    return {name: (rng.normal(size=shape) * 0.3).astype(kind) for name, shape in shapes().items()}


def tokenizer_json() -> dict[str, Any]:
    """Byte-level BPE with four named tokens, as the library writes it."""
    step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    pattern = {"Regex": r"\p{N}{1,3}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 64, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": "BatchLongest",
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "!",
        },
        "added_tokens": [{"id": PIECES.index(name), "content": name, **flags} for name in NAMED],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "NFC"},
                {"type": "Replace", "pattern": {"String": "``"}, "content": '"'},
            ],
        },
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, {**step, "use_regex": False}]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": NAMED[0], "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                NAMED[0]: {"id": NAMED[0], "ids": [PIECES.index(NAMED[0])], "tokens": [NAMED[0]]}
            },
        },
        "decoder": step,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {piece: index for index, piece in enumerate(PIECES)},
            "merges": [merge.split(" ") for merge in MERGES],
        },
    }


def slow_tokenizer_json(words: int = 300, tokens: int = 9) -> dict[str, Any]:
    """The same with added tokens that its own normalizer takes a tenth of a second a word for."""
    document = tokenizer_json()
    sample = document["added_tokens"][0]
    document["added_tokens"] += [
        {**sample, "id": VOCABULARY + at, "content": ("a" * 22 + "b ") * words + str(at), "normalized": True}
        for at in range(tokens)
    ]
    document["normalizer"] = {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "x"}
    return document


def character_map(text: bytes) -> bytes:
    """A map of characters, as SentencePiece has it, that puts `text` in the place of every ASCII letter."""
    units = [0] * 512  # the root, and from the 256th on a leaf for each letter, all with the first text
    units[0] = 256 << 10
    for letter in range(1, 128):
        units[256 + letter] = 256 << 10 | 1 << 8 | letter
    return struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + text + b"\0"


def sentencepiece_model(
    characters: bytes = b"",
    *,
    algorithm: int = 2,
    odd_score: float = -9.0,
    pieces: tuple[str, ...] = PIECES[:250],
) -> bytes:
    """A `tokenizer.model`: BPE (2) or unigram (1), with a map of characters."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2]) + _varint(len(content)) + content

    out = b""
    for index, piece in enumerate(("<unk>", "<s>", "</s>", *pieces)):
        kind = 2 if index == 0 else 3 if index < 3 else 1
        score = struct.pack("<f", odd_score if index == 9 else -float(index))
        out += field(1, field(1, piece.encode()) + b"\x15" + score + bytes([0x18, kind]))
    return out + field(2, bytes([0x18, algorithm])) + field(3, field(2, characters))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def tokenizer_config() -> dict[str, Any]:
    """What stands beside it."""
    return {
        "add_bos_token": False,
        "bos_token": NAMED[0],
        "eos_token": {"content": NAMED[1], "lstrip": False},
        "added_tokens_decoder": {
            str(PIECES.index(name)): {"content": name, "special": True, "normalized": False} for name in NAMED
        },
        "chat_template": TEMPLATE,
        "model_max_length": 1e30,
    }


def folder(at: Path, *, sharded: bool = False) -> Path:
    """A checkpoint folder."""
    at.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("config.json", CONFIG),
        ("generation_config.json", GENERATION),
        ("tokenizer.json", tokenizer_json()),
        ("tokenizer_config.json", tokenizer_config()),
        ("special_tokens_map.json", {"eos_token": NAMED[1]}),
        ("added_tokens.json", {name: PIECES.index(name) for name in NAMED}),
    ):
        (at / name).write_text(json.dumps(content), "utf-8")
    (at / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    tensors = arrays(np.float16)
    if not sharded:
        save_file(tensors, at / "model.safetensors", metadata={"format": "pt"})
        return at
    names = list(tensors)
    files = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    parts = (names[: len(names) // 2], names[len(names) // 2 :])
    for file, part in zip(files, parts, strict=True):
        save_file({name: tensors[name] for name in part}, at / file)
    index = {name: file for file, part in zip(files, parts, strict=True) for name in part}
    total = sum(array.nbytes for array in tensors.values())
    (at / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": index}), "utf-8"
    )
    return at


_GGUF_SLOTS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
}


def gguf_file(at: Path, *, blocks: str = "Q8_0", extra: tuple[str, ...] = ()) -> Path:
    """A GGUF file, its matrices in blocks of a type; `extra` tokens have no rows in them."""
    at.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(at, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    pieces = (*PIECES, *extra)
    writer.add_token_list(list(pieces))
    writer.add_token_types([3 if piece in NAMED[:2] else 4 if piece in NAMED else 1 for piece in pieces])
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(PIECES.index(NAMED[0]))
    writer.add_eos_token_id(PIECES.index(NAMED[1]))
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    writer.add_float32("general.sampling.temp", 0.7)
    kind = gguf.GGMLQuantizationType[blocks]
    for name, array in arrays().items():
        stem = name.removesuffix(".weight")
        parts = stem.split(".", 3)
        slot = f"blk.{parts[2]}.{_GGUF_SLOTS[parts[3]]}" if "layers" in name else _GGUF_SLOTS[stem]
        if array.ndim == 1 or kind == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(f"{slot}.weight", array)
        else:
            writer.add_tensor(f"{slot}.weight", gguf.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return at
