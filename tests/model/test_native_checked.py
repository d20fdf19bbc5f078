"""The operators are handed addresses; whatever is not of the right kind is refused before."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from chatterm.model.load import load_decoder
from chatterm.model.native.build import NotBuiltError, library
from chatterm.model.native.checked import address, indices_address, rows_address
from chatterm.model.native.step import Places
from chatterm.model.native.tiles import Pool, Product, Tiles
from chatterm.model.prefill.operator import Operator, prefill_library
from chatterm.model.vectors import NARROW, Stored, narrowed

try:
    library()
except NotBuiltError as error:
    pytest.skip(f"no native operator here: {error}", allow_module_level=True)

LLAMA = "llama, untied"
TOKENS = torch.arange(5)


@pytest.fixture
def decoder(tiny_checkpoint):
    return load_decoder(tiny_checkpoint(LLAMA))


@pytest.fixture
def operator() -> Operator:
    try:
        prefill_library()
    except NotBuiltError as error:
        pytest.skip(f"no matrix unit here: {error}")
    return Operator(Pool(1))


@pytest.mark.parametrize(
    "dtype",
    [torch.bfloat16, torch.float16, torch.float64, torch.int8, torch.int32, torch.bool],
)
def test_a_cache_of_a_type_that_the_operator_cannot_read_is_refused(dtype, tiny_checkpoint, decoder) -> None:
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(ValueError, match=rf"cannot read a cache of torch\.{name}, only of float32, int16"):
        load_decoder(tiny_checkpoint(LLAMA), cache_dtype=dtype)
    with pytest.raises(ValueError, match=name):
        decoder.new_cache(8, dtype)


def test_a_cache_in_bfloat16_serves_a_decoder_in_torch(tiny_checkpoint) -> None:
    decoder = load_decoder(tiny_checkpoint(LLAMA), threads=0, cache_dtype=torch.bfloat16)
    assert decoder(TOKENS, decoder.new_cache(8)).isfinite().all()
    with pytest.raises(ValueError, match="int8"):
        load_decoder(tiny_checkpoint(LLAMA), threads=0, cache_dtype=torch.int8)


class _Fake:
    """A cache whose parts can be replaced."""

    def __init__(self, cache) -> None:
        self.keys, self.values = cache.keys, cache.values
        self.key_scales, self.value_scales = cache.key_scales, cache.value_scales


def _bfloat16(cache) -> None:
    cache.keys, cache.values = cache.keys.bfloat16(), cache.values.bfloat16()


def _other_values(cache) -> None:
    cache.values = cache.values.half()


def _fewer_layers(cache) -> None:
    cache.keys = cache.keys[:1]


def _fewer_heads(cache) -> None:
    cache.keys, cache.values = cache.keys[:, :1].contiguous(), cache.values[:, :1].contiguous()


def _shorter_values(cache) -> None:
    cache.values = cache.values[:, :, :4].contiguous()


def _strided(cache) -> None:
    cache.keys = torch.cat([cache.keys] * 2, -1)[..., ::2]


def _transposed(cache) -> None:
    cache.values = cache.values.transpose(1, 2).contiguous().transpose(1, 2)


def _elsewhere(cache) -> None:
    cache.keys = cache.keys.to("meta")


def _no_scales(cache) -> None:
    cache.keys, cache.values = cache.keys.to(NARROW), cache.values.to(NARROW)
    cache.key_scales = cache.value_scales = None


def _short_scales(cache) -> None:
    _no_scales(cache)
    cache.key_scales, cache.value_scales = torch.ones(3, 2, 2), torch.ones(3, 2, 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_bfloat16, "keys must be float32 or int16, not bfloat16"),
        (_other_values, "values must be float32, not float16"),
        (_fewer_layers, "keys must have the shape"),
        (_fewer_heads, "keys must have the shape"),
        (_shorter_values, "values must have the shape"),
        (_strided, "keys must be contiguous"),
        (_transposed, "values must be contiguous"),
        (_elsewhere, "keys must be dense numbers on the CPU"),
        (_no_scales, "16-bit keys and values need their scales"),
        (_short_scales, "the keys' scales must have the shape"),
    ],
)
def test_a_step_refuses_another_cache(change, said, decoder) -> None:
    cache = _Fake(decoder.new_cache(8))
    turns = decoder._turns(0, 2, 2)
    assert decoder._native(TOKENS[:2], 0, cache, turns, last_only=True).isfinite().all()
    change(cache)
    with pytest.raises(ValueError, match=said):
        decoder._native(TOKENS[:2], 0, cache, turns, last_only=True)


def test_a_step_refuses_tokens_and_positions_that_do_not_exist(decoder) -> None:
    cache, native = decoder.new_cache(8), decoder._native
    turns = decoder._turns(0, 1, 1)
    for tokens in (torch.tensor([128]), torch.tensor([-1])):
        with pytest.raises(ValueError, match="tokens must be from 0 to 127, and one is"):
            native(tokens, 0, cache, turns, last_only=True)
    with pytest.raises(ValueError, match="tokens must be int64, not int32"):
        native(torch.tensor([1], dtype=torch.int32), 0, cache, turns, last_only=True)
    with pytest.raises(ValueError, match="tokens"):
        native(torch.zeros(0, dtype=torch.int64), 0, cache, turns, last_only=True)
    with pytest.raises(ValueError, match="not 50"):
        native(torch.zeros(50, dtype=torch.int64), 0, cache, turns, last_only=True)
    for position, why in ((-1, "cannot lie at -1"), (8, "do not fit into a cache of 8")):
        with pytest.raises(ValueError, match=why):
            native(TOKENS[:1], position, cache, turns, last_only=True)
    for some in (
        ([1], [1], [2]),
        ([2], [5], [4]),
        ([3], [6], [5]),
        ([], [], []),
    ):
        with pytest.raises(ValueError, match=r"cannot lie at|places for other than 1"):
            native(TOKENS[:1], Places(2, *some), cache, turns, last_only=True)


def test_a_step_refuses_other_rotations_and_records(decoder) -> None:
    cache, native = decoder.new_cache(8), decoder._native
    (turn,) = turns = decoder._turns(0, 2, 2)
    wrong = (
        ([], "kinds of layers"),
        ([None], "there is no rotation"),
        ([turn[:1]], "cosines must have the shape"),
        ([replace(turn, sin=turn.sin.double())], "sines must be float32"),
        ([replace(turn, cos=turn.cos[..., :8])], "cosines must have the shape"),
    )
    for rotations, said in wrong:
        with pytest.raises(ValueError, match=said):
            native(TOKENS[:2], 0, cache, rotations, last_only=True)
    with pytest.raises(ValueError, match="the record of output must have the shape"):
        native(TOKENS[:2], 0, cache, turns, last_only=True, record={"output": torch.empty(3, 1, 64)})
    with pytest.raises(ValueError, match="the record of output must be float32"):
        native(TOKENS[:2], 0, cache, turns, last_only=True, record={"output": torch.empty(3, 2, 64).half()})


def test_learned_positions_end(tiny_checkpoint) -> None:
    decoder = load_decoder(tiny_checkpoint("gpt2, tied"))
    cache = _Fake(decoder.new_cache(128))
    shape = list(cache.keys.shape)
    shape[2] = 200
    cache.keys, cache.values = torch.zeros(shape), torch.zeros(shape)
    with pytest.raises(ValueError, match="there are 128 learned positions, not 129"):
        decoder._native(TOKENS[:1], 128, cache, decoder._turns(0, 1, 1), last_only=True)


def test_tiles_refuse_what_does_not_belong_to_them() -> None:
    tiles = Tiles(torch.randn(48, 32), torch.randn(48), Pool(1))
    wrong = (
        (lambda: Tiles(torch.randn(48, 32), torch.randn(16), tiles.pool), "48 rows cannot have a bias"),
        (lambda: tiles.expand(torch.empty(32, 32)), "48 rows, not 32"),
        (lambda: tiles.expand(torch.empty(48, 16)), "must have the shape"),
        (lambda: tiles.expand(torch.empty(48, 32, dtype=torch.float16)), "must be float32 or bfloat16"),
        (lambda: tiles.expand(torch.empty(32, 48).T), "must be contiguous"),
        (lambda: tiles.expand_rows(40, torch.empty(8, 32)), "no tiles of 48 rows"),
        (lambda: tiles.expand_rows(32, torch.empty(32, 32)), "no tiles of 48 rows"),
        (lambda: tiles.look_up(torch.tensor([48])), "rows must be from 0 to 47, and one is 48"),
        (lambda: tiles.look_up(torch.tensor([-1])), "and one is -1"),
        (lambda: tiles.look_up(torch.tensor([1.0])), "rows must be int64, not float32"),
        (lambda: Product([tiles])(torch.randn(2, 31)), "vectors must have the shape"),
        (lambda: Product([tiles])(torch.randn(2, 32).double()), "vectors must be float32, not float64"),
        (lambda: Product([tiles] * 4), "1 to 3 matrices"),
        (lambda: Product([tiles, Tiles(torch.randn(16, 64), None, tiles.pool)]), "no common vectors"),
    )
    for act, said in wrong:
        with pytest.raises(ValueError, match=said):
            act()


def test_reading_a_prompt_refuses_what_does_not_belong_to_it(operator) -> None:
    x, tiles = torch.randn(40, 64), Tiles(torch.randn(32, 64), None, operator.pool)
    heads, cosines = torch.randn(40, 2, 16), torch.randn(40, 1, 16)
    out, columns = torch.empty(40, 64), torch.randn(64, 40).T
    norm = {"layer": False, "eps": 1e-5}
    odd = x[:, :63].contiguous()
    wrong = (
        (lambda: operator.product(x.double(), [tiles], "t"), "tokens must be float32"),
        (lambda: operator.product(x[:, :32], [tiles], "t"), "cannot be multiplied"),
        (
            lambda: operator.product(columns, [tiles], "t"),
            "each row of tokens must be contiguous",
        ),
        (lambda: operator.product(x[:1].expand(40, 64), [tiles], "t"), "the rows of tokens overlap"),
        (lambda: operator.norm(x, torch.ones(32), None, **norm, out=out), "weights must have the shape"),
        (lambda: operator.norm(x, torch.ones(64), torch.ones(3), **norm, out=out), "biases must have"),
        (lambda: operator.norm(x, torch.ones(64), None, **norm, out=out[:8]), "the result must have"),
        (lambda: operator.gate(x.half(), 0, gated=True, name="g"), "activations must be float32"),
        (
            lambda: operator.gate(odd, 0, gated=True, name="g"),
            "activations must have the shape",
        ),
        (lambda: operator.turn(heads, cosines[:8], cosines, 16), "cosines must have the shape"),
        (lambda: operator.turn(heads, cosines, cosines, 32), "cannot be rotated in pairs"),
        (lambda: operator.add(x, out[:8], 1.0), "what is added must have the shape"),
        (lambda: operator.add(columns, out, 1.0), "the residual stream must be contiguous"),
    )
    for act, said in wrong:
        with pytest.raises(ValueError, match=said):
            act()


def test_attention_over_a_prompt_refuses_other_keys(operator) -> None:
    queries, keys = torch.randn(20, 4, 16), torch.randn(2, 20, 16)
    whole, scales = narrowed(keys)

    def attend(*stored: torch.Tensor | None, first: int = 0, asked: torch.Tensor = queries) -> torch.Tensor:
        some = {"window": None, "scale": 1.0, "soft_cap": None, "name": "test"}
        return operator.attention(asked, Stored(*stored), first=first, **some)

    assert attend(keys, keys, None, None).isfinite().all()
    assert attend(whole, whole, scales, scales).isfinite().all()
    wrong = (
        ((keys.bfloat16(), keys.bfloat16(), None, None), "keys must be float32, not bfloat16"),
        ((keys.half(), keys.half(), None, None), "keys must be float32, not float16"),
        ((whole, whole, None, None), "keys must be float32, not int16"),
        ((whole, whole, scales, None), "keys must be float32, not int16"),
        ((keys, keys, scales, scales), "keys must be int16, not float32"),
        ((keys, whole, None, None), "values must be float32, not int16"),
        ((whole, whole, scales[:, :3], scales), "the keys' scales must have the shape"),
        ((keys, keys[:, :8], None, None), "values must have the shape"),
        ((keys, torch.randn(2, 40, 16)[:, :20], None, None), "laid out as the keys"),
        ((keys[..., :8], keys[..., :8], None, None), "cannot|must have|contiguous"),
    )
    for stored, said in wrong:
        with pytest.raises(ValueError, match=said):
            attend(*stored)
    for first in (-1, 1):
        with pytest.raises(ValueError, match="cannot look at 20 keys"):
            attend(keys, keys, None, None, first=first)
    with pytest.raises(ValueError, match="cannot look at"):
        attend(keys, keys, None, None, asked=torch.randn(20, 3, 16))
    with pytest.raises(ValueError, match="queries must be float32"):
        attend(keys, keys, None, None, asked=queries.double())


def test_addresses_are_those_of_the_numbers() -> None:
    x = torch.randn(4, 6)
    assert address(x[1:], "x", (3, 6), torch.float32) == x.data_ptr() + 24
    assert rows_address(x[:, 2:], "x", (4, 4)) == x.data_ptr() + 8
    assert indices_address(torch.arange(3), "rows", 3, 3)
    with pytest.raises(ValueError, match="x must have the shape"):
        address(x, "x", (4, 5), torch.float32)
