"""Reading a prompt with the matrix unit gives what the blocks give in torch, for every family."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.parity.cases import CASES
from chatterm.checkpoint.open import open_checkpoint
from chatterm.checkpoint.tokenizer import load_tokenizer
from chatterm.model.load import load_decoder
from chatterm.model.native.build import NotBuiltError
from chatterm.model.native.tiles import Pool, Tiles
from chatterm.model.prefill.operator import Operator, prefill_library
from chatterm.model.vectors import NARROW, Stored, narrowed

try:
    prefill_library()
except NotBuiltError as error:
    pytest.skip(f"no matrix unit here: {error}", allow_module_level=True)

ONE_PER_FAMILY = list({case.family: case.name for case in CASES}.values())
TEXT = Path(__file__).parents[2] / "docs" / "architecture.md"


@pytest.fixture(scope="module")
def operator() -> Operator:
    return Operator(Pool(2))


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


@pytest.mark.parametrize("dtype", [torch.float32, NARROW])
@pytest.mark.parametrize(
    ("tokens", "past", "heads", "kv_heads", "size", "window", "cap"),
    [
        (40, 0, 4, 2, 64, None, None),
        (33, 300, 2, 1, 80, None, 30.0),
        (200, 100, 3, 3, 256, 70, None),
        (1, 129, 2, 2, 16, 5, 50.0),
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


@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_a_prompt_reads_as_in_torch(name: str, tiny_checkpoint) -> None:
    checkpoint = tiny_checkpoint(name)
    fast = load_decoder(checkpoint, exact=False, cache_dtype=torch.float32)
    plain = load_decoder(checkpoint, threads=0)
    if fast._reader is None:
        pytest.skip("a matrix whose rows are no multiple of 32")
    tokens = torch.arange(50) * 37 % 96
    ours, theirs = fast.new_cache(50), plain.new_cache(50)
    for start, stop in ((0, 30), (30, 50)):
        fast_logits = fast(tokens[start:stop], ours, last_only=False).log_softmax(-1)
        plain_logits = plain(tokens[start:stop], theirs, last_only=False).log_softmax(-1)
        torch.testing.assert_close(fast_logits, plain_logits, rtol=0, atol=2e-3)
    torch.testing.assert_close(ours.keys[:, :, :50], theirs.keys[:, :, :50], rtol=1e-3, atol=1e-3)


def test_the_real_model_reads_a_text_alike(default_model_path: Path) -> None:
    checkpoint = open_checkpoint(default_model_path)
    ids = torch.tensor(load_tokenizer(checkpoint).encode(TEXT.read_text("utf-8"))[:300])
    exact, fast = load_decoder(checkpoint), load_decoder(checkpoint, exact=False)
    plain = exact(ids, exact.new_cache(300), last_only=False).log_softmax(-1)
    ours = fast(ids, fast.new_cache(300), last_only=False).log_softmax(-1)
    ten = plain.topk(10).indices
    assert float((plain.exp() * (plain - ours)).sum(-1).mean()) < 1e-4
    assert bool((plain.argmax(-1) == ours.argmax(-1)).float().mean() > 0.99)
    assert float((plain - ours).gather(1, ten).abs().max()) < 0.05
