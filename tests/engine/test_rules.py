"""A checkpoint's rules about what must not come, held against transformers' `generate` with the same file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from chatterm.checkpoint.rules import read_rules
from chatterm.decode.sampling import Sampler
from chatterm.engine.messages import AnyEvent, Finished, Generate, LoadOptions, Predict, TokenEvent
from chatterm.engine.reply import Control, ReplyWriter
from chatterm.engine.session import Session
from chatterm.records.generation import Prompt, RuleCounts, Tokens
from chatterm.sampling import SamplingParameters
from tests.faults import specimens

GREEDY = SamplingParameters(temperature=0.0)
PROMPT = (7, 5, 9, 5)
LENGTH = 12
ENDS = [specimens.VOCABULARY - 3]
FILE = {"suppress_tokens": [3], "min_length": 2, "stop_strings": "the end", "repetition_penalty": 1.1}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A checkpoint whose file suppresses a token, and asks for other things that are rules."""
    folder = specimens.folder(tmp_path_factory.mktemp("rules") / "checkpoint")
    (folder / "generation_config.json").write_text(json.dumps(FILE))
    return Session(folder, LoadOptions(exact=True), lambda done, total: None)


@pytest.fixture
def session(loaded: Session, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Session]:
    """The same with other rules."""

    def other(**stated: Any) -> Session:
        rules, notices = read_rules(stated, loaded.info.vocabulary)
        assert not notices
        monkeypatch.setattr(loaded, "rules", rules)
        monkeypatch.setattr(loaded.tokenizer, "end_ids", frozenset(stated.get("eos_token_id", ENDS)))
        return loaded

    return other


def reply(session: Session, prompt: Prompt, sampling: SamplingParameters = GREEDY) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    request = Generate(request=1, prompt=prompt, sampling=sampling, max_tokens=LENGTH)
    ReplyWriter(session, request, events.append, Control(lambda: False, lambda: None)).write()
    return events


def tokens(events: list[AnyEvent]) -> list[TokenEvent]:
    return [event for event in events if isinstance(event, TokenEvent)]


@pytest.fixture(scope="module")
def theirs(loaded: Session) -> Callable[..., list[int]]:
    """What transformers writes, greedily, by such rules."""
    import transformers

    transformers.logging.set_verbosity_error()
    model = transformers.AutoModelForCausalLM.from_pretrained(loaded.info.path, dtype=torch.float32).eval()
    model.generation_config = transformers.GenerationConfig()
    ids = torch.tensor([PROMPT])

    def write(**stated: Any) -> list[int]:
        config = transformers.GenerationConfig(**{"eos_token_id": ENDS, "max_new_tokens": LENGTH} | stated)
        found = model.generate(ids, generation_config=config, attention_mask=torch.ones_like(ids))
        return found[0, len(PROMPT) :].tolist()

    return write


def test_a_file_is_read_when_it_is_loaded(loaded: Session) -> None:
    assert loaded.info.rules == RuleCounts(suppressed=1, least=2, stops=1)
    assert loaded.rules.stops == ("the end",)
    assert loaded.info.sampling.penalty_last_n == -1, "transformers looks back on everything"


def test_rules_are_those_of_transformers(
    session: Callable[..., Session], theirs: Callable[..., list[int]]
) -> None:
    first, second, third = [event.id for event in tokens(reply(session(), Tokens(PROMPT)))][:3]
    for stated in (
        {},
        {"suppress_tokens": [second, 3]},
        {"begin_suppress_tokens": [first]},
        {"bad_words_ids": [[third], [first, second]]},
        {"bad_words_ids": [[first, second]], "begin_suppress_tokens": [second], "suppress_tokens": [third]},
        {"sequence_bias": [[[first], -3.0], [[first, second], -50.0], [[PROMPT[-1], first], 1.5]]},
        {"sequence_bias": [[[first, second], -50.0]], "repetition_penalty": 1.3},
        {"no_repeat_ngram_size": 1},
        {"no_repeat_ngram_size": 2, "repetition_penalty": 1.3},
        {"eos_token_id": [first, second], "min_new_tokens": 3},
        {"eos_token_id": [first, second], "min_length": 7},
        {"eos_token_id": [first, second], "bad_words_ids": [[first], [second]]},
    ):
        penalty = stated.get("repetition_penalty", 1.0)
        sampling = GREEDY.replace(repetition_penalty=penalty, penalty_last_n=-1)
        ours = [event.id for event in tokens(reply(session(**stated), Tokens(PROMPT), sampling))]
        assert ours == theirs(**stated), stated


def test_the_distribution_is_that_of_their_logits_processors(loaded: Session) -> None:
    from transformers.generation import logits_process as theirs

    size, ends, begins = 60, [2, 3], 12
    plain = SamplingParameters(temperature=1, top_k=0, top_p=1, min_p=0, penalty_last_n=-1)
    random = np.random.default_rng(3)

    def some(count: int) -> list[int]:
        return random.integers(0, 12, count).tolist()

    for _ in range(60):
        history = random.integers(0, 12, random.integers(begins, 16)).tolist()
        tail, penalty = history[-2:], float(random.choice([1.0, 1.3]))
        stated = {
            "suppress_tokens": some(2),
            "begin_suppress_tokens": some(3),
            "bad_words_ids": [some(1), some(2), [*tail, *some(1)], [2], [history[-1], *some(1)]],
            "sequence_bias": [[some(1), -2.0], [[*tail, 7], 3.0], [[tail[-1], 7], 1.0]],
            "no_repeat_ngram_size": int(random.integers(1, 4)),
            "min_new_tokens": int(random.integers(1, 4)),
            "min_length": int(random.integers(1, 16)),
        }
        logits = torch.from_numpy(random.normal(0, 3, size)).float()
        rules, notices = read_rules(stated, size)
        sampler = Sampler(size, end_ids=ends, rules=rules, begins=begins)
        ours = sampler.distribution(logits, history, plain.replace(repetition_penalty=penalty))
        bias = {tuple(sequence): value for sequence, value in stated["sequence_bias"]}
        scores, ids = logits[None], torch.tensor([history])
        for processor in (
            theirs.SequenceBiasLogitsProcessor(bias),
            theirs.RepetitionPenaltyLogitsProcessor(penalty),
            theirs.NoRepeatNGramLogitsProcessor(stated["no_repeat_ngram_size"]),
            theirs.NoBadWordsLogitsProcessor(stated["bad_words_ids"], ends),
            theirs.MinLengthLogitsProcessor(stated["min_length"], ends),
            theirs.MinNewTokensLengthLogitsProcessor(begins, stated["min_new_tokens"], ends),
            theirs.SuppressTokensLogitsProcessor(stated["suppress_tokens"]),
            theirs.SuppressTokensAtBeginLogitsProcessor(stated["begin_suppress_tokens"], begins),
        ):
            scores = processor(ids, scores)
        assert not notices
        assert torch.allclose(ours.sampled, scores[0].double().softmax(-1), atol=1e-6), (stated, history)
        assert torch.allclose(ours.logprobs, logits.log_softmax(-1), atol=1e-5), "the model's own stay"
        assert sum(part.mass for part in ours.removals()) + ours.kept_mass == pytest.approx(1.0)


def test_what_was_suppressed_is_shown_with_its_mass(session: Callable[..., Session]) -> None:
    free = tokens(reply(session(), Tokens(PROMPT)))[0]
    loaded = session(suppress_tokens=[free.id])
    (event, *_rest) = tokens(reply(loaded, Tokens(PROMPT)))
    row = event.distribution.candidates[0]
    assert (row.id, row.removed_by, row.sampled) == (free.id, "suppressed", 0.0)
    assert row.logprob == free.logprob, "the model's own probability is the model's"
    assert event.distribution.removed[0].step == "suppressed"
    assert event.distribution.removed[0].mass == pytest.approx(row.p)
    off = tokens(reply(loaded, Tokens(PROMPT), GREEDY.replace(checkpoint_rules=0)))
    assert off[0].id == free.id, "it can be switched off"


def test_the_beginning_of_a_reply_is_where_it_begins(session: Callable[..., Session]) -> None:
    first = tokens(reply(session(), Tokens(PROMPT)))[0].id
    loaded = session(begin_suppress_tokens=[first])
    begun = loaded.predict(
        Predict(request=1, prompt=Tokens(PROMPT[:2], PROMPT[2:]), sampling=GREEDY), lambda: False
    )
    assert begun.distribution.candidates[0].removed_by is None, "a fork goes on in the middle"
    fresh = loaded.predict(Predict(request=1, prompt=Tokens(PROMPT), sampling=GREEDY), lambda: False)
    assert fresh.distribution.candidates[0].removed_by == "suppressed"


def test_stop_strings_end_a_reply(session: Callable[..., Session]) -> None:
    whole = tokens(reply(session(), Tokens(PROMPT)))
    piece = next(event.text for event in whole[2:] if event.text.isascii() and event.text)
    loaded = session(stop_strings=piece)
    events = reply(loaded, Tokens(PROMPT))
    assert isinstance(events[-1], Finished) and events[-1].reason == "stop"
    assert len(tokens(events)) < len(whole)
    off = reply(loaded, Tokens(PROMPT), GREEDY.replace(checkpoint_rules=False))
    assert [event.id for event in tokens(off)] == [event.id for event in whole]
