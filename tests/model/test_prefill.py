"""Reading a prompt by packed weights gives what the blocks give in torch, for every family."""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.parity.cases import CASES
from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.tensors import PackedWeight
from chatterm.checkpoint.tokenizer import load_tokenizer
from chatterm.model.load import load_decoder
from chatterm.model.native.build import NotBuiltError, processor
from chatterm.model.native.tiles import Pool, Tiles
from chatterm.model.prefill.operator import WITHOUT_UNIT, Operator, prefill_library
from chatterm.model.vectors import NARROW, Stored, narrowed

try:
    prefill_library()
except NotBuiltError as error:
    if "avx2" in processor():
        raise  # it is made for this processor, so its source does not compile
    pytest.skip(f"no operator for prompts here: {error}", allow_module_level=True)

ONE_PER_FAMILY = list({case.family: case.name for case in CASES}.values())
TEXT = Path(__file__).parents[2] / "docs" / "architecture.md"


WAYS = ("pairs", "unit") if prefill_library().chatterm_prefill_way() == 2 else ("pairs",)
"""Of multiplying: with or without the processor's matrix unit."""


@pytest.fixture(scope="module", params=WAYS)
def operator(request) -> Operator:
    return Operator(Pool(2), unit=request.param == "unit")


@pytest.mark.parametrize(
    ("tokens", "rows", "columns"), [(1, 32, 32), (33, 64, 96), (70, 96, 40), (64, 320, 4160)]
)
def test_a_product_keeps_five_digits(operator: Operator, tokens: int, rows: int, columns: int) -> None:
    torch.manual_seed(tokens)
    weight, bias, x = torch.randn(rows, columns), torch.randn(rows), torch.randn(tokens, columns)
    matrices = [Tiles(weight, bias, operator.pool), Tiles(2 * weight, bias, operator.pool)]
    exact = functional.linear(x.double(), torch.cat([weight, 2 * weight]).double(), bias.repeat(2).double())
    ours = operator.product(x, matrices, "test")
    assert float((ours - exact).norm() / exact.norm()) < 1e-5


TYPES = {
    name: GGMLQuantizationType[name]
    for name in (
        "Q4_0",
        "Q4_1",
        "Q5_0",
        "Q5_1",
        "Q8_0",
        "Q4_K",
        "Q5_K",
        "Q6_K",
        "MXFP4",
        "F16",
        "BF16",
        "F32",
    )
}


def blocks_of(kind: GGMLQuantizationType, rows: int, columns: int) -> PackedWeight:
    """Random blocks: any bits, but scales of a sensible size."""
    numbers = np.random.default_rng(rows + columns)
    block, size = GGML_QUANT_SIZES[kind]
    data = numbers.integers(0, 256, (rows, columns // block, size), dtype=np.uint8)
    if kind.name == "MXFP4":  # the scale is a power of two, one byte
        data[:, :, 0] = numbers.integers(120, 126, (rows, columns // block))
    for place in SCALES[kind.name]:
        scales = numbers.uniform(-0.1, 0.1, (rows, columns // block, 1)).astype(np.float16)
        data[:, :, place : place + 2] = scales.view(np.uint8)
    return PackedWeight(kind, data.reshape(rows, -1), (rows, columns))


SCALES = {
    **dict.fromkeys(("Q4_0", "Q5_0", "Q8_0"), (0,)),
    **dict.fromkeys(("Q4_1", "Q5_1", "Q4_K", "Q5_K"), (0, 2)),
    "Q6_K": (208,),
    "MXFP4": (),
}
"""Where in a block its half-precision scales stand."""


@pytest.mark.parametrize("kind", SCALES)
@pytest.mark.parametrize("tokens", [1, 2, 12, 13, 31, 70, 110])
def test_a_product_with_packed_weights_keeps_four_digits(operator: Operator, kind: str, tokens: int) -> None:
    torch.manual_seed(tokens)
    columns = 512 if kind.endswith("_K") else 352
    weights = [blocks_of(TYPES[kind], rows, columns) for rows in (16, 35 + tokens, 160)]
    x = torch.randn(tokens, columns)
    x[0, 7] = 900.0  # far from all the others
    x[-1, 32:64] = 0
    ours = operator.product(x, [Tiles(weight, None, operator.pool) for weight in weights], "test")
    dense = torch.cat([torch.from_numpy(gguf.dequantize(w.blocks, w.type).copy()) for w in weights]).double()
    error = (ours - x.double() @ dense.T).norm(dim=1)
    assert float((error / (x.double().norm(dim=1) * dense.norm() / len(dense) ** 0.5)).max()) < 2e-4


@pytest.mark.parametrize("kind", SCALES)
def test_a_number_far_larger_than_the_others_leaves_them_their_digits(kind: str) -> None:
    """As every transformer has them: what the others add up to is as exact as if it were not there."""
    operator = Operator(Pool(2), unit=False)
    torch.manual_seed(3)
    weight = blocks_of(TYPES[kind], 48, 512)
    x = torch.randn(14, 512)
    x[:, 5], x[3, 300], x[3, 301] = 2000.0, -5000.0, 700.0
    ours = operator.product(x, [Tiles(weight, None, operator.pool)], "test").double()
    dense = torch.from_numpy(gguf.dequantize(weight.blocks, weight.type).copy()).double()
    rest = x.clone()
    rest[:, [5, 300, 301]] = 0
    far = (x - rest).double() @ dense.T
    error = (ours - far - rest.double() @ dense.T).norm(dim=1)
    assert float((error / (rest.double().norm(dim=1) * dense.norm() / len(dense) ** 0.5)).max()) < 2e-4
    operator.whole_numbers = False
    ours = operator.product(x[:, :], [Tiles(weight, None, operator.pool)], "test").double()
    assert float((ours - x.double() @ dense.T).norm() / (x.double() @ dense.T).norm()) < 1e-6


def test_matrices_of_different_kinds_are_multiplied_together(operator: Operator) -> None:
    torch.manual_seed(0)
    weights = [blocks_of(TYPES[kind], 48, 256) for kind in SCALES]
    plain = torch.randn(40, 256)
    bias, x = torch.randn(40), torch.randn(19, 256)
    parts = [Tiles(weight, None, operator.pool) for weight in weights[:6]] + [
        Tiles(plain, bias, operator.pool)
    ]
    dense = [torch.from_numpy(gguf.dequantize(w.blocks, w.type).copy()) for w in weights[:6]]
    exact = x.double() @ torch.cat([*dense, plain]).double().T
    exact[:, -40:] += bias
    ours = operator.product(x, parts, "test")
    assert float((ours - exact).norm() / exact.norm()) < 1e-4


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_stays_none(operator: Operator, bad: float) -> None:
    x = torch.ones(14, 256)
    x[3, 100] = bad
    ours = operator.product(x, [Tiles(blocks_of(TYPES["Q4_K"], 32, 256), None, operator.pool)], "test")
    assert not ours[3].isfinite().any()
    assert bool(ours[[0, 2, 4, 13]].isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float32, NARROW])
@pytest.mark.parametrize(
    ("tokens", "past", "heads", "kv_heads", "size", "window", "cap"),
    [
        (40, 0, 4, 2, 64, None, None),
        (33, 300, 2, 1, 80, None, 30.0),
        (200, 100, 3, 3, 256, 70, None),
        (1, 129, 2, 2, 16, 5, 50.0),
        (19, 7, 14, 2, 40, None, None),
        (70, 450, 5, 1, 128, 200, None),
    ],
)
def test_attention_is_that_of_the_formula(
    operator: Operator, tokens, past, heads, kv_heads, size, window, cap, dtype
) -> None:
    torch.manual_seed(tokens)
    seen = past + tokens
    queries = torch.randn(tokens, heads, size)
    keys, values = (torch.randn(kv_heads, seen, size) for _ in range(2))
    stored = Stored(keys, values, None, None)
    if dtype == NARROW:
        (whole, scales), (whole_values, value_scales) = narrowed(keys), narrowed(values)
        stored = Stored(whole, whole_values, scales, value_scales)
        keys, values = whole * scales[..., None], whole_values * value_scales[..., None]
    positions, others = torch.arange(past, seen)[:, None], torch.arange(seen)
    mask = (others <= positions) & (others > positions - (window or seen))
    scores = queries.transpose(0, 1).double() @ keys.double().repeat_interleave(
        heads // kv_heads, 0
    ).transpose(1, 2)
    scores = scores * 0.2
    if cap:
        scores = cap * torch.tanh(scores / cap)
    weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
    exact = (weights @ values.double().repeat_interleave(heads // kv_heads, 0)).transpose(0, 1)
    ours = operator.attention(
        queries, stored, first=past, window=window, scale=0.2, soft_cap=cap, name="test"
    )
    torch.testing.assert_close(ours.double(), exact.reshape(tokens, -1), rtol=0, atol=3e-4)


@pytest.fixture(params=WAYS)
def way(request, monkeypatch) -> str:
    monkeypatch.setenv(WITHOUT_UNIT, "01"[request.param == "unit"])
    return request.param


@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_a_prompt_reads_as_in_torch(name: str, tiny_checkpoint, way: str) -> None:
    checkpoint = tiny_checkpoint(name)
    fast = load_decoder(checkpoint, exact=False, cache_dtype=torch.float32)
    plain = load_decoder(checkpoint, threads=0)
    assert fast.prompt_products == ("2×bf16" if way == "unit" else "float32")
    tokens = torch.arange(50) * 37 % 96
    ours, theirs = fast.new_cache(50), plain.new_cache(50)
    for start, stop in ((0, 30), (30, 50)):
        fast_logits = fast(tokens[start:stop], ours, last_only=False).log_softmax(-1)
        plain_logits = plain(tokens[start:stop], theirs, last_only=False).log_softmax(-1)
        torch.testing.assert_close(fast_logits, plain_logits, rtol=0, atol=2e-3)
    torch.testing.assert_close(ours.keys[:, :, :50], theirs.keys[:, :, :50], rtol=1e-3, atol=1e-3)


def test_the_real_model_reads_a_text_alike(default_model_path: Path, way: str) -> None:
    checkpoint = open_checkpoint(default_model_path)
    ids = torch.tensor(load_tokenizer(checkpoint).encode(TEXT.read_text("utf-8"))[:300])
    exact, fast = load_decoder(checkpoint), load_decoder(checkpoint, exact=False)
    plain = exact(ids, exact.new_cache(300), last_only=False).log_softmax(-1)
    ours = fast(ids, fast.new_cache(300), last_only=False).log_softmax(-1)
    ten = plain.topk(10).indices
    assert float((plain.exp() * (plain - ours)).sum(-1).mean()) < 1e-4
    assert bool((plain.argmax(-1) == ours.argmax(-1)).float().mean() > 0.99)
    assert float((plain - ours).gather(1, ten).abs().max()) < 0.05
