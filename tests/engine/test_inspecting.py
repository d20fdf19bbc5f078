"""Questions about the inside of the real default model, asked through the client."""

from __future__ import annotations

import asyncio
import math

import pytest

from chatterm.engine.client import EngineProcess
from chatterm.engine.messages import TokenEvent
from chatterm.engine.protocol import EngineError
from chatterm.records import inspection as ask
from chatterm.records.generation import Text, Tokens
from chatterm.sampling import SamplingParameters

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

MARY = Text("When Mary and John went to the store, John gave a drink to")
GREEDY = SamplingParameters(temperature=0)


async def token(engine: EngineProcess, text: str) -> int:
    (found,) = (await engine.tokenize(text)).tokens
    return found.id


async def test_the_lens_ends_with_the_models_own_prediction(engine: EngineProcess) -> None:
    predicted = await engine.predict(MARY, SamplingParameters(), candidates=5)
    mary = await token(engine, " Mary")
    read = await engine.inspect(ask.Lens(MARY, candidates=5, target=mary))
    (position,) = read.positions
    assert [layer.layer for layer in position.layers] == list(range(30))
    assert position.text == " to" and position.target_text == " Mary"
    last = position.layers[-1]
    rows = predicted.distribution.candidates
    assert [candidate.id for candidate in last.candidates] == [row.id for row in rows]
    for candidate, row in zip(last.candidates, rows, strict=True):
        assert candidate.logprob == pytest.approx(row.logprob, abs=1e-3)
        assert candidate.sampled == candidate.p and candidate.kept
    assert last.entropy == pytest.approx(predicted.distribution.entropy, abs=1e-3)
    assert last.target_rank == 1 and last.target_p == pytest.approx(last.candidates[0].p)
    assert position.layers[0].target_rank > 100


async def test_a_grid_follows_the_text_itself(engine: EngineProcess) -> None:
    read = await engine.inspect(ask.Lens(MARY, candidates=1, positions=4))
    assert [position.text for position in read.positions] == [" gave", " a", " drink", " to"]
    assert [position.target_text for position in read.positions] == [" a", " drink", " to", None]
    everything = await engine.inspect(ask.Lens(MARY, candidates=1, positions=1000))
    assert [position.position for position in everything.positions] == list(range(14))


async def test_scores_are_what_predictions_say(engine: EngineProcess) -> None:
    scored = await engine.inspect(ask.Score(MARY))
    assert "".join(each.text for each in scored.tokens) == MARY.text
    first, *others = scored.tokens
    assert (first.logprob, first.rank, first.entropy) == (None, None, None)
    ids = tuple(each.id for each in scored.tokens)
    for position in (1, 6, 13):
        predicted = await engine.predict(Tokens(ids[:position]), SamplingParameters(), also=(ids[position],))
        row = next(row for row in predicted.distribution.candidates if row.id == ids[position])
        assert others[position - 1].logprob == pytest.approx(row.logprob, abs=1e-3)
        assert others[position - 1].rank == row.rank
        assert others[position - 1].entropy == pytest.approx(predicted.distribution.entropy, abs=1e-3)
    later = await engine.inspect(ask.Score(MARY, first=10))
    assert [each.id for each in later.tokens] == list(ids[10:])
    assert later.tokens[0].logprob == pytest.approx(others[9].logprob, abs=1e-3)


async def test_the_rank_curve_falls(engine: EngineProcess) -> None:
    curve = await engine.inspect(ask.RankCurve(MARY, SamplingParameters(top_k=5, top_p=1, min_p=0)))
    assert curve.ranks[0] == 1 and curve.ranks[-1] == 49_152
    assert list(curve.p) == sorted(curve.p, reverse=True)
    assert math.fsum(curve.sampled) == pytest.approx(1) and sum(p > 0 for p in curve.sampled) == 5
    assert curve.slope is not None and -4 < curve.slope < -0.5


async def test_attention_rows_sum_to_one(engine: EngineProcess) -> None:
    read = await engine.inspect(ask.AttentionHead(MARY, layer=3, head=1, rows=99))
    assert (read.first, len(read.weights), len(read.tokens), read.window) == (0, 14, 14, None)
    for row, weights in enumerate(read.weights):
        assert math.fsum(weights) == pytest.approx(1, abs=1e-5)
        assert weights[row + 1 :] == (0,) * (13 - row)
    overview = await engine.inspect(ask.AttentionOverview(MARY, to=1))
    assert (len(overview.entropy), len(overview.entropy[0])) == (30, 9)
    assert overview.weight is not None
    assert overview.weight[3][1] == pytest.approx(read.weights[-1][1], abs=1e-3)
    assert overview.strongest_weight[3][1] == pytest.approx(max(read.weights[-1]), abs=1e-3)


async def test_patterns_of_a_layer_and_of_a_head_are_the_same_weights(engine: EngineProcess) -> None:
    text = Text(" hello" * 10 + " bye" * 10)
    of_layer = await engine.inspect(ask.HeadPatterns(text, layer=2, size=40))
    count = len(of_layer.tokens)
    assert (of_layer.heads, of_layer.pooled) == (tuple((2, head) for head in range(9)), 1)
    of_head = await engine.inspect(ask.HeadPatterns(text, head=1, size=count // 2))
    assert of_head.heads == tuple((layer, 1) for layer in range(30))
    assert (of_head.pooled, len(of_head.maps[0])) == (2, count // 2)
    small, large = of_head.maps[2], of_layer.maps[1]
    for row in range(count // 2):
        for column in range(count // 2):
            square = [large[2 * row + i][2 * column + j] for i in (0, 1) for j in (0, 1)]
            assert small[row][column] == pytest.approx(max(square), abs=1e-3)


async def test_contributions_add_up_and_name_the_heads_that_say_mary(engine: EngineProcess) -> None:
    mary, john = await token(engine, " Mary"), await token(engine, " John")
    for question in (ask.Contributions(MARY), ask.Contributions(MARY, target=mary, against=john)):
        read = await engine.inspect(question)
        parts = [read.embedding, read.bias, *read.mlps, *(head for row in read.heads for head in row)]
        assert math.fsum(parts) == pytest.approx(read.logit, abs=1e-4)
        assert (read.token, read.text, read.capped, read.bias) == (mary, " Mary", None, 0)
    shares = {(i, j): share for i, row in enumerate(read.heads) for j, share in enumerate(row)}
    strongest = sorted(shares, key=lambda head: -shares[head])[:6]
    overview = await engine.inspect(ask.AttentionOverview(MARY))
    looked_at = [overview.tokens[overview.strongest[layer][head]] for layer, head in strongest]
    assert looked_at.count(" Mary") >= 3, "the heads that push “Mary” look at it"


async def test_neurons_name_the_words_they_push(engine: EngineProcess) -> None:
    read = await engine.inspect(ask.Neurons(MARY, count=3, tokens=4))
    assert len(read.neurons) == 3 and len(read.active) == 30
    for neuron in read.neurons:
        assert len(neuron.promotes) == len(neuron.suppresses) == 4
        assert neuron.promotes[0][1] > 0 > neuron.suppresses[0][1]
    inside = await engine.inspect(ask.Neurons(MARY, layer=4))
    assert {neuron.layer for neuron in inside.neurons} == {4}


async def test_words_have_neighbours_analogies_and_places(engine: EngineProcess) -> None:
    read = await engine.inspect(ask.Neighbours("king"))
    assert read.of == " king" and len(read.neighbours) == 10
    assert " queen" in [neighbour.text for neighbour in read.neighbours]
    analogy = await engine.inspect(ask.Analogy("king", "man", "woman"))
    assert analogy.neighbours[0].text == " queen"
    assert {"king", " king"}.isdisjoint(neighbour.text for neighbour in analogy.neighbours)
    words = ("leap", "jump", "skip", "hop", "red", "blue", "green")
    places = await engine.inspect(ask.EmbeddingMap(words))
    assert tuple(point.word for point in places.points) == words
    assert max(point.x for point in places.points[:4]) < min(point.x for point in places.points[4:])
    hidden = await engine.inspect(ask.HiddenNeighbours(MARY, layer=29))
    assert (hidden.of, hidden.layer, hidden.neighbours[0].text) == (" to", 29, " Mary")


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (ask.Lens(MARY, target=49_152), "Token 49152 does not exist"),
        (ask.AttentionHead(MARY, layer=30, head=0), "Layer 30 does not exist: .* has layers 0 to 29"),
        (ask.AttentionHead(MARY, layer=0, head=-1), "Head -1 does not exist"),
        (ask.AttentionOverview(MARY, to=14), "Position 14 does not exist: the text has positions 0 to 13"),
        (ask.HeadPatterns(MARY), "give a layer, a head, or both"),
        (ask.HiddenNeighbours(MARY, layer=30), "Layer 30 does not exist"),
        (ask.Neighbours(" "), "A word is empty"),
        (ask.Neighbours("no word at all " * 40), "a word may have 64"),
        (ask.EmbeddingMap(("one",)), "A map needs 2 to 500 words, not 1"),
        (ask.Score(Tokens(())), "The prompt is empty"),
    ],
)
async def test_what_cannot_be_answered_is_said(engine: EngineProcess, question, sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence):
        await engine.inspect(question)


async def test_a_reply_in_progress_is_looked_into_and_not_disturbed(engine: EngineProcess) -> None:
    prompt = Text("Once upon a time there was a")
    undisturbed = [
        event.id
        async for event in engine.generate(prompt, GREEDY, max_tokens=40)
        if isinstance(event, TokenEvent)
    ]
    ids = tuple(each.id for each in (await engine.inspect(ask.Score(prompt))).tokens)
    events: list[TokenEvent] = []
    answers: list[asyncio.Task] = []
    answered_at: list[int] = []
    async for event in engine.generate(prompt, GREEDY, max_tokens=40):
        if not isinstance(event, TokenEvent):
            continue
        events.append(event)
        if len(events) == 3:
            held = Tokens((*ids, *(each.id for each in events[:2])))
            for question in (
                ask.Lens(held, target=events[2].id),
                ask.AttentionOverview(held),
                ask.Contributions(held, target=events[2].id),
                ask.Neighbours("king"),
            ):
                answers.append(asyncio.ensure_future(engine.inspect(question)))
                answers[-1].add_done_callback(lambda _: answered_at.append(len(events)))
    lens, _, contributions, _ = [await answer for answer in answers]
    assert [event.id for event in events] == undisturbed
    assert answered_at and answered_at[0] < 40, "while the reply was being written"
    chosen = events[2]
    assert lens.positions[0].layers[-1].target_p == pytest.approx(math.exp(chosen.logprob), abs=1e-3)
    assert contributions.token == chosen.id
