"""A small GGUF file of Llama's family, with matrices in any block type."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

from chatterm.checkpoint.blocks import SIZES, BlockType

WIDTH, FFN, VOCABULARY = 256, 256, 40
SHAPES = {
    "token_embd.weight": (VOCABULARY, WIDTH),
    "output_norm.weight": (WIDTH,),
    "blk.0.attn_norm.weight": (WIDTH,),
    "blk.0.attn_q.weight": (WIDTH, WIDTH),
    "blk.0.attn_k.weight": (WIDTH // 2, WIDTH),
    "blk.0.attn_v.weight": (WIDTH // 2, WIDTH),
    "blk.0.attn_output.weight": (WIDTH, WIDTH),
    "blk.0.ffn_norm.weight": (WIDTH,),
    "blk.0.ffn_gate.weight": (FFN, WIDTH),
    "blk.0.ffn_up.weight": (FFN, WIDTH),
    "blk.0.ffn_down.weight": (WIDTH, FFN),
}
OUTPUT = "output.weight"


def blocks_of(kind: BlockType, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Random blocks with sensible scales, as bytes."""
    size, block_bytes = SIZES[kind]
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (shape[0], shape[1] // size, block_bytes), dtype=np.uint8)
    if kind in (BlockType.Q1_0, BlockType.Q2_0):
        scales = rng.normal(0, 0.05, blocks.shape[:2]).astype(np.float16)
        blocks[..., :2] = scales.view(np.uint8).reshape(*blocks.shape[:2], 2)
    if kind == BlockType.MXFP4:
        blocks[..., 0] = rng.integers(120, 125, blocks.shape[:2])
    if kind == BlockType.NVFP4:
        blocks[..., :4] = rng.integers(0x10, 0x20, (*blocks.shape[:2], 4))
    return blocks.reshape(shape[0], -1)


def write_gguf(
    path: Path,
    *,
    types: Mapping[str, str] | None = None,
    scales: Mapping[str, float] | None = None,
    output: np.ndarray | None = None,
    seed: int = 0,
    split: tuple[int, int] | None = None,
    only: slice = slice(None),
    stated: int | None = None,
) -> Path:
    """Write it, or one part of it: `split` is (number from 0, count), `only` chooses the tensors."""
    writer = gguf.GGUFWriter(path, "llama")
    if split is None or split[0] == 0:
        writer.add_block_count(1)
        writer.add_context_length(64)
        writer.add_embedding_length(WIDTH)
        writer.add_feed_forward_length(FFN)
        writer.add_head_count(4)
        writer.add_head_count_kv(2)
        writer.add_layer_norm_rms_eps(1e-5)
    if split is not None:
        writer.add_uint16("split.no", split[0])
        writer.add_uint16("split.count", split[1])
        writer.add_int32("split.tensors.count", len(SHAPES) if stated is None else stated)
    for number, (name, shape) in list(enumerate(SHAPES.items()))[only]:
        kind = BlockType[(types or {}).get(name, "F32")]
        array = np.random.default_rng(seed + number).normal(0, 0.1, shape).astype(np.float32)
        if kind == BlockType.F32:
            writer.add_tensor(name, array)
        else:
            _add_blocks(writer, name, kind, shape, seed + number)
    for name, scale in (scales or {}).items():
        writer.add_tensor(name, np.array([scale], np.float32))
    if output is not None:
        writer.add_tensor(OUTPUT, output)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_blocks(
    writer: gguf.GGUFWriter, name: str, kind: BlockType, shape: tuple[int, ...], seed: int
) -> None:
    """Also of types that the `gguf` package does not know."""
    blocks = blocks_of(kind, shape, seed)
    writer.add_tensor_info(name, shape, np.dtype(np.float32), blocks.nbytes, raw_dtype=kind)
    writer.tensors[-1][name].tensor = blocks
