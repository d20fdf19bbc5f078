"""Neighbours, analogies and maps against plain arithmetic on the whole matrix."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import torch

from chatterm.decode.context import Context
from chatterm.glass import embeddings, vocabulary
from chatterm.glass.vocabulary import leading, rank
from chatterm.model.taps import Taps


def cosines(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cosine_similarity(matrix.double(), vector.double()[None], dim=-1)


@pytest.fixture
def small_parts(monkeypatch) -> None:
    monkeypatch.setattr(vocabulary, "ROWS", 48)
    monkeypatch.setattr(vocabulary, "_lengths", type(vocabulary._lengths)())


def test_neighbours_are_the_largest_cosines(context: Context, small_parts):
    matrix = context.decoder.embedding.dense()
    for ids in ([5], [9, 30, 31]):
        found = embeddings.neighbours(context.decoder, ids, 10)
        expected = cosines(matrix, matrix[ids].mean(0))
        expected[ids] = -2
        assert [cosine for _, cosine in found] == pytest.approx(expected.topk(10).values.tolist(), abs=1e-5)
        assert all(cosine == pytest.approx(float(expected[token]), abs=1e-5) for token, cosine in found)


def test_hidden_neighbours_look_at_the_state_as_the_unembedding_reads_it(context: Context, small_parts):
    taps = Taps(read=["output"])
    tokens = torch.tensor(context.tokens)
    decoder = context.decoder
    decoder(tokens, decoder.new_cache(len(tokens)), taps=taps)
    for layer in range(decoder.architecture.layers):
        state = decoder.final_norm(taps.values["output", layer][-4])
        expected = cosines(decoder.unembedding.dense(), state)
        found = embeddings.hidden_neighbours(context, len(tokens) - 4, layer, 5)
        assert [cosine for _, cosine in found] == pytest.approx(expected.topk(5).values.tolist(), abs=5e-5)
        assert all(cosine == pytest.approx(float(expected[token]), abs=5e-5) for token, cosine in found)


def test_an_analogy_is_a_sum_of_unit_vectors(context: Context, small_parts):
    unit = torch.nn.functional.normalize(context.decoder.embedding.dense().double(), dim=-1)
    found = embeddings.analogy(context.decoder, [5], [6], [7], 4, {5, 6, 7})
    expected = cosines(unit, unit[5] - unit[6] + unit[7])
    expected[[5, 6, 7]] = -2
    assert [token for token, _ in found] == expected.topk(4).indices.tolist()
    assert [cosine for _, cosine in found] == pytest.approx(expected.topk(4).values.tolist(), abs=1e-5)


def test_a_map_keeps_as_much_of_the_distances_as_a_plane_can(context: Context):
    words = [[token] for token in range(4, 20)]
    plane = embeddings.plane(context.decoder, words)
    vectors = torch.nn.functional.normalize(context.decoder.embedding.dense()[4:20].double(), dim=-1)
    spread = torch.linalg.eigvalsh(torch.cov(vectors.T, correction=0)).flip(0)
    assert plane.places.mean(0).abs().max() < 1e-6
    assert plane.places.square().mean(0).tolist() == pytest.approx(spread[:2].tolist(), rel=1e-4)
    shares = (spread[:2] / spread.sum()).tolist()
    assert plane.explained == pytest.approx(shares, rel=1e-4)
    for axis in plane.places.T:
        assert axis.max() == axis.abs().max()


def test_two_words_lie_on_a_line(context: Context):
    plane = embeddings.plane(context.decoder, [[4], [5]])
    assert plane.explained == pytest.approx((1, 0), abs=1e-6)
    assert plane.places[:, 1].abs().max() < 1e-6
    same = embeddings.plane(context.decoder, [[4], [4]])
    assert same.explained == (0, 0) or same.places.abs().max() < 1e-6


def test_leading_and_rank_agree_on_ties():
    values = torch.tensor([1.0, 3.0, 3.0, -torch.inf, 2.0])
    assert leading(values, 9) == [1, 2, 4, 0]
    assert [rank(values, token) for token in (1, 2, 4, 0, 3)] == [1, 2, 3, 4, 5]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory otherwise")
def test_a_walk_over_the_vocabulary_leaves_no_memory_behind():
    """In a process of its own, where nobody has made holes in the memory before."""
    program = """
        import psutil, torch
        from chatterm.glass.vocabulary import row_lengths
        from chatterm.model.linear import DenseLinear

        class Unpacking(DenseLinear):
            def rows(self, first, stop):
                return super().rows(first, stop) * 1.0

        matrix = Unpacking(torch.ones(1 << 17, 512))
        row_lengths(Unpacking(matrix.weight[:4096]))
        before = psutil.Process().memory_info().rss
        row_lengths(matrix)
        print(psutil.Process().memory_info().rss - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40 << 20, "the matrix itself has 256 MiB"
