"""Logits → the next token: runs the sampler chain and draws.

The steps themselves are in `chatterm.decode.samplers`; `docs/sampling.md` says what each computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import msgspec
import numpy as np
import torch

from chatterm.checkpoint.rules import Rules
from chatterm.decode.distribution import SampledDistribution
from chatterm.decode.samplers import repetition, truncation
from chatterm.decode.samplers.candidates import Candidates, Doubles, Ids, ModelProbabilities
from chatterm.decode.samplers.randomness import Purpose, uniform, uniforms
from chatterm.decode.samplers.repetition import Breakers, History
from chatterm.decode.samplers.rules import RuleSteps
from chatterm.decode.samplers.starting import starting_parameters, starting_values
from chatterm.errors import UserError
from chatterm.model.threads import one_thread
from chatterm.sampling import SamplingParameters, Step

__all__ = ["SampledDistribution", "Sampler", "starting_parameters", "starting_values"]

MOST_STEPS = 64
RACE_CHUNK = 16384
"""Tokens whose noise is made at once, so that its arrays stay in the cache."""

FEW = 256
"""Tokens all of which take part in the race."""

TRUNCATIONS = frozenset({"top_n_sigma", "top_k", "typical", "top_p", "min_p", "xtc"})
"""The steps that Mirostat takes the place of."""


class Sampler:
    """The sampler of one reply. Its parameters may change between any two tokens.

    The only state is Mirostat's bound, kept by position, so that a position can be asked for again.
    """

    def __init__(
        self,
        vocabulary: int,
        breakers_to_ids: Callable[[tuple[str, ...]], Breakers] | None = None,
        end_ids: Collection[int] = (),
        rules: Rules | None = None,
        begins: int | None = None,
    ) -> None:
        """A sampler over `vocabulary` tokens.

        Args:
            vocabulary: V, the number of logits.
            breakers_to_ids: turns DRY's breaker strings into tokens (`repetition.SequenceBreakers`); without
                it DRY has no breakers.
            end_ids: tokens that end a reply; XTC leaves them alone.
            rules: of the checkpoint.
            begins: position at which the reply begins; None where nobody knows.
        """
        self.vocabulary = vocabulary
        self._breakers_to_ids = breakers_to_ids
        self._end_ids = frozenset(end_ids)
        self._rules = RuleSteps(rules, self._end_ids) if rules else None
        self._begins = begins
        self._mu: dict[int, float] = {}
        self._weights, self._work = torch.empty(vocabulary), torch.empty(vocabulary)
        self._checked: SamplingParameters | None = None

    def distribution(
        self, logits: torch.Tensor, history: Sequence[int] | torch.Tensor, parameters: SamplingParameters
    ) -> SampledDistribution:
        """What could come after `history`, under the model and under the sampler.

        Args:
            logits: (V,), of any floating type, on any device; not changed.
            history: (T,), all tokens so far, prompt and reply. The position of the next token is T.
            parameters: in force for this token.

        Raises:
            UserError: the logits hold NaN or +inf, or are all -inf; a parameter is not a finite number, or a
                logit bias names a token that does not exist.
        """
        if logits.shape != (self.vocabulary,):
            raise ValueError(f"logits of shape {tuple(logits.shape)}, expected ({self.vocabulary},)")
        self._check(parameters)
        with torch.inference_mode(), one_thread():
            # A copy: the caller may write the next logits into the same tensor while this result is in use.
            own = logits.to(device="cpu", dtype=torch.float32, copy=True)
            model = ModelProbabilities(own, self._weights, self._work)
            candidates = self._chain(model, history, parameters)
        return SampledDistribution(len(history), model, candidates)

    def _chain(
        self,
        model: ModelProbabilities,
        history: Sequence[int] | torch.Tensor,
        parameters: SamplingParameters,
    ) -> Candidates:
        """What all the steps leave."""
        candidates = Candidates(model)
        if parameters.logit_bias:
            candidates.begin("logit_bias")
            repetition.logit_bias(candidates, parameters.logit_bias)
        if self._rules is not None and parameters.checkpoint_rules:
            self._rules.run(candidates, history, self._begins)
        for step in parameters.order:
            if not (parameters.mirostat and step in TRUNCATIONS):
                self._run(step, candidates, history, parameters)
        if parameters.mirostat:
            candidates.begin("mirostat")
            truncation.mirostat(candidates, self.mirostat_mu(len(history), parameters))
        return candidates

    def draw(self, distribution: SampledDistribution, parameters: SamplingParameters, position: int) -> int:
        """Draw the token at `position`: a pure function of the distribution, the seed and the position.

        Every token has a random number E of its own, exponentially distributed, and the largest p / E wins:
        the Gumbel-max trick (Maddison, Tarlow and Minka, 2014), with noise that belongs to (seed, position,
        token). So wherever two runs with the same seed have nearly the same distribution, they nearly always
        draw the same token.
        """
        ids, probabilities = distribution.candidates
        chosen = 0 if ids.size == 1 else _race(ids, probabilities, parameters.seed, position)
        if parameters.mirostat:
            self._learn(position, float(probabilities[chosen]), parameters)
        return int(ids[chosen])

    def mirostat_mu(self, position: int, parameters: SamplingParameters) -> float:
        """Mirostat's bound on surprise at a position, in bits: 2 tau until a token before it was drawn."""
        return self._mu.get(position, 2.0 * parameters.mirostat_tau)

    def _learn(self, position: int, probability: float, parameters: SamplingParameters) -> None:
        """Move Mirostat's bound for the next position by eta times the error of the surprise."""
        mu = self.mirostat_mu(position, parameters)
        error = -math.log2(probability) - parameters.mirostat_tau
        moved = mu - parameters.mirostat_eta * error
        self._mu[position + 1] = moved if math.isfinite(moved) else mu

    def _run(
        self,
        step: Step,
        candidates: Candidates,
        history: Sequence[int] | torch.Tensor,
        parameters: SamplingParameters,
    ) -> None:
        """One step of the chain, unless its parameters make it do nothing."""
        if not _is_active(step, parameters, len(history)):
            return
        candidates.begin(step)
        match step:
            case "penalties":
                repetition.penalties(
                    candidates,
                    _recent(history, parameters.penalty_last_n),
                    parameters.repetition_penalty,
                    parameters.frequency_penalty,
                    parameters.presence_penalty,
                )
            case "dry":
                repetition.dry(
                    candidates,
                    _recent(history, parameters.dry_penalty_last_n),
                    parameters.dry_multiplier,
                    parameters.dry_base,
                    parameters.dry_allowed_length,
                    self._breakers(parameters.dry_sequence_breakers),
                )
            case "top_n_sigma":
                truncation.top_n_sigma(candidates, parameters.top_n_sigma)
            case "top_k":
                truncation.top_k(candidates, parameters.top_k)
            case "typical":
                truncation.typical(candidates, parameters.typical_p)
            case "top_p":
                truncation.top_p(candidates, parameters.top_p)
            case "min_p":
                truncation.min_p(candidates, parameters.min_p)
            case "xtc":
                truncation.xtc(candidates, parameters.xtc_threshold, self._end_ids)
            case "temperature":
                truncation.temperature(candidates, parameters.temperature)

    def _breakers(self, strings: tuple[str, ...]) -> Breakers:
        return self._breakers_to_ids(strings) if self._breakers_to_ids and strings else {}

    def _check(self, parameters: SamplingParameters) -> None:
        if parameters is self._checked:
            return
        for name, value in msgspec.structs.asdict(parameters).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(
                    f"{name} is {value}, which is not a number that the sampler can use; set another."
                )
        if len(parameters.order) > MOST_STEPS:
            raise UserError(
                f"The sampler order has {len(parameters.order)} steps; at most {MOST_STEPS} can run."
            )
        self._checked = parameters


def _is_active(step: Step, parameters: SamplingParameters, position: int) -> bool:
    """Whether a step does anything with these parameters; XTC throws its coin here."""
    match step:
        case "penalties":
            return parameters.penalty_last_n != 0 and (
                parameters.repetition_penalty != 1.0
                or parameters.frequency_penalty != 0.0
                or parameters.presence_penalty != 0.0
            )
        case "dry":
            return parameters.dry_multiplier != 0.0 and parameters.dry_penalty_last_n != 0
        case "top_n_sigma":
            return parameters.top_n_sigma > 0.0
        case "top_k":
            return parameters.top_k > 0
        case "typical":
            return parameters.typical_p < 1.0
        case "top_p":
            return parameters.top_p < 1.0
        case "min_p":
            return parameters.min_p > 0.0
        case "xtc":
            return parameters.xtc_threshold <= 0.5 and (
                uniform(parameters.seed, position, Purpose.XTC) < parameters.xtc_probability
            )
        case "temperature":
            return parameters.temperature != 1.0


def _race(ids: Ids, probabilities: Doubles, seed: int, position: int) -> int:
    """Index of the token with the largest p / E."""
    best, winner = -1.0, 0
    for start in range(0, ids.size, RACE_CHUNK):
        part = slice(start, start + RACE_CHUNK)
        noise, chances = uniforms(seed, position, Purpose.DRAW, ids[part]), probabilities[part]
        if noise.size <= FEW:
            rivals = np.arange(noise.size)
        else:
            # -log u ≥ 1 - u, so no token does better than p / (1 - u): few logarithms are needed.
            bounds = chances / (1.0 - noise)
            leader = int(bounds.argmax())
            reached = max(best, float(chances[leader] / -np.log(noise[leader])))
            rivals = np.flatnonzero(bounds >= reached * (1.0 - 1e-9))
        scores = chances[rivals] / -np.log(noise[rivals])
        if scores.size and (leader := int(scores.argmax())) >= 0 and scores[leader] > best:
            best, winner = float(scores[leader]), start + int(rivals[leader])
    return winner


def _recent(history: Sequence[int] | torch.Tensor, count: int) -> History:
    """The last `count` tokens, all of them for -1."""
    recent = history if count < 0 else history[max(0, len(history) - count) :]
    return np.asarray(recent.cpu() if isinstance(recent, torch.Tensor) else recent, dtype=np.intp)
