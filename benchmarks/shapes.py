"""Files with the shapes of models that people run and random weights.

    python -m benchmarks.shapes FOLDER [NAME …]

Speed depends on shapes and block types alone, so these stand for checkpoints that are too large to fetch.
Numbers in blocks are random, their scales such that products keep the size of what went in. A file is made
once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

Bytes = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


@dataclass(frozen=True)
class Shape:
    """A model's sizes, and which block types its matrices have."""

    family: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    hidden: int
    vocabulary: int
    tied: bool = False
    biased: bool = False


SHAPES = {
    "7b-q4_k_m": Shape("llama", 32, 4096, 32, 32, 11008, 32000),
    "0.5b-q4_k_m": Shape("qwen2", 24, 896, 14, 2, 4864, 151_936, tied=True, biased=True),
}


def is_important(layer: int, layers: int) -> bool:
    """Whether llama.cpp's "Q4_K_M" spends more bits on this layer's values and down-projection."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def block_type(shape: Shape, name: str, layer: int) -> GGMLQuantizationType:
    """As llama.cpp's "Q4_K_M" chooses; rows that 256 does not divide get blocks of 32."""
    kinds = GGMLQuantizationType
    columns = shape.hidden if name == "ffn_down" else shape.width
    makes_logits = name == "output" or (name == "token_embd" and shape.tied)
    matters = name in ("attn_v", "ffn_down") and is_important(layer, shape.layers)
    wanted = kinds.Q6_K if makes_logits or matters else kinds.Q4_K
    if columns % 256 == 0:
        return wanted
    return kinds.Q8_0 if wanted == kinds.Q6_K else kinds.Q5_0


def matrices(shape: Shape) -> Iterator[tuple[str, int, int, GGMLQuantizationType]]:
    """Names, rows, columns and block types, in the order of the file."""
    head = shape.width // shape.heads
    yield "token_embd", shape.vocabulary, shape.width, block_type(shape, "token_embd", 0)
    for layer in range(shape.layers):
        for name, rows, columns in (
            ("attn_q", shape.width, shape.width),
            ("attn_k", shape.kv_heads * head, shape.width),
            ("attn_v", shape.kv_heads * head, shape.width),
            ("attn_output", shape.width, shape.width),
            ("ffn_gate", shape.hidden, shape.width),
            ("ffn_up", shape.hidden, shape.width),
            ("ffn_down", shape.width, shape.hidden),
        ):
            yield f"blk.{layer}.{name}", rows, columns, block_type(shape, name, layer)
    if not shape.tied:
        yield "output", shape.vocabulary, shape.width, block_type(shape, "output", 0)


def random_blocks(numbers: np.random.Generator, kind: GGMLQuantizationType, rows: int, columns: int) -> Bytes:
    """`(rows, bytes of a row)`: any bits, and scales that make weights of about columns^-1/2."""
    block, size = GGML_QUANT_SIZES[kind]
    data = np.frombuffer(numbers.bytes(rows * columns // block * size), np.uint8).reshape(-1, size).copy()
    spread = columns**-0.5

    def put(place: int, scale: float) -> None:
        scales = numbers.uniform(0.7, 1.3, (len(data), 1)) * scale * spread
        data[:, place : place + 2] = scales.astype(np.float16).view(np.uint8)

    # A block of K-quants multiplies by whole numbers up to 63 (Q4_K) or 127 (Q6_K) besides.
    if kind is GGMLQuantizationType.Q4_K:
        put(0, 1 / (4.6 * 32))
        put(2, 7.5 / (4.6 * 32))
    elif kind is GGMLQuantizationType.Q6_K:
        data[:, 192:208] = numbers.integers(24, 40, (len(data), 16), dtype=np.uint8)
        put(208, 1 / (18.5 * 32))
    else:
        put(0, {GGMLQuantizationType.Q5_0: 1 / 9.2, GGMLQuantizationType.Q8_0: 1 / 74}[kind])
    return data.reshape(rows, -1)


def make(name: str, folder: Path) -> Path:
    """The file of a shape in `folder`, made if it is not there."""
    path, shape = folder / f"{name}.gguf", SHAPES[name]
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    writer = gguf.GGUFWriter(str(part), shape.family)
    _describe(writer, shape)
    numbers = np.random.default_rng(7)
    for tensor, rows, columns, kind in matrices(shape):
        block, size = GGML_QUANT_SIZES[kind]
        writer.add_tensor_info(
            f"{tensor}.weight",
            (rows, columns // block * size),
            np.dtype(np.uint8),
            rows * columns // block * size,
            raw_dtype=kind,
        )
    vectors = dict(_vectors(shape))
    for tensor, vector in vectors.items():
        writer.add_tensor_info(tensor, vector.shape, vector.dtype, vector.nbytes)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, rows, columns, kind in matrices(shape):
        writer.write_tensor_data(random_blocks(numbers, kind, rows, columns))
    for vector in vectors.values():
        writer.write_tensor_data(vector)
    writer.close()
    part.rename(path)
    return path


def _vectors(shape: Shape) -> Iterator[tuple[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:
    head = shape.width // shape.heads
    yield "output_norm.weight", np.ones(shape.width, np.float32)
    for layer in range(shape.layers):
        yield f"blk.{layer}.attn_norm.weight", np.ones(shape.width, np.float32)
        yield f"blk.{layer}.ffn_norm.weight", np.ones(shape.width, np.float32)
        if shape.biased:
            for name, heads in (("q", shape.heads), ("k", shape.kv_heads), ("v", shape.kv_heads)):
                yield f"blk.{layer}.attn_{name}.bias", np.full(heads * head, 0.1, np.float32)


def _describe(writer: gguf.GGUFWriter, shape: Shape) -> None:
    """Sizes, and a vocabulary of bytes and numbered words."""
    writer.add_name(f"random {shape.family}")
    writer.add_context_length(8192)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_vocab_size(shape.vocabulary)
    if shape.family == "llama":
        words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
        kinds = [2, 3, 3, *[6] * 256]
        rest = range(shape.vocabulary - len(words))
        writer.add_tokenizer_model("llama")
        writer.add_token_list([*words, *(f"▁w{i}" for i in rest)])
        writer.add_token_scores([0.0] * len(words) + [-float(i) for i in rest])
        writer.add_token_types([*kinds, *[1] * len(rest)])
    else:
        signs = [chr(c) for c in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
        rest = range(shape.vocabulary - len(signs) - 1)
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list([*signs, *(f"Ġw{i}" for i in rest), "<|end|>"])
        writer.add_token_merges(["Ġ w"])
        writer.add_token_types([*[1] * (shape.vocabulary - 1), 3])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2 if shape.family == "llama" else shape.vocabulary - 1)
    writer.add_add_bos_token(shape.family == "llama")


def main() -> None:
    """Make the files that were asked for, and print where they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", choices=[*SHAPES, []], help="all if none")
    options = parser.parse_args()
    for name in options.names or SHAPES:
        print(make(name, options.folder))


if __name__ == "__main__":
    main()
