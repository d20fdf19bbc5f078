"""One loaded checkpoint and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from chatterm.checkpoint.memory import memory_working
from chatterm.checkpoint.open import Checkpoint, open_checkpoint
from chatterm.checkpoint.rules import Rules, read_rules
from chatterm.checkpoint.template import ChatTemplate, EncodedPrompt, encode_chat, load_template
from chatterm.checkpoint.tokenizer import load_tokenizer
from chatterm.decode.context import Context
from chatterm.decode.samplers.repetition import SequenceBreakers
from chatterm.decode.samplers.starting import starting_values
from chatterm.decode.sampling import Sampler
from chatterm.engine import inspecting, loading
from chatterm.engine.machine import free_bytes, places
from chatterm.engine.messages import LoadOptions, Predict, Predicted
from chatterm.engine.numbers import to_distribution
from chatterm.engine.tidying import give_back_memory
from chatterm.errors import UserError
from chatterm.model.cache import token_bytes
from chatterm.model.load import load_decoder
from chatterm.model.native.build import expected
from chatterm.model.tuning import tuning
from chatterm.records.generation import Chat, ModelInfo, Prompt, RuleCounts, Text, Tokens
from chatterm.records.inspection import AnyAnswer, AnyEdit, AnyQuestion


class Session:
    """A checkpoint ready to talk: tokenizer, template, decoder and the tokens it has read."""

    def __init__(self, path: Path, options: LoadOptions, on_progress: Callable[[int, int], None]) -> None:
        """Load everything; `on_progress(tensors_done, tensors_total)`.

        Raises:
            UserError: the checkpoint cannot be loaded or the options cannot be met.
        """
        give_back_memory()  # an earlier session's decoder lies in cycles
        torch.set_num_threads(options.threads or tuning().threads)
        checkpoint = open_checkpoint(path)
        self.tokenizer = load_tokenizer(checkpoint)
        self.template = load_template(checkpoint, self.tokenizer)
        shape = checkpoint.architecture
        loading.check_context(options.context, shape.context, fixed=shape.learned_positions)
        plan = loading.plan(options, _needs(checkpoint, options), places())
        decoder = load_decoder(
            checkpoint,
            device=plan.device,
            dtype=torch.float32 if plan.dtype == "float32" else torch.bfloat16,
            exact=plan.exact,
            quantise=plan.quantise,
            progress=on_progress,
        )
        checkpoint.pages.give_all_back()
        size = loading.context_size(
            options.context,
            shape.context,
            token_bytes(shape, decoder.cache_dtype),
            free_bytes(decoder.device),
        )
        self.decoder = decoder
        self.clean = Context(decoder, size)
        """What the model as it is has read; kept while edits are in force (`chatterm.engine.editing`)."""
        self.context = self.clean
        """What the conversation is computed with."""
        self.edits: tuple[AnyEdit, ...] = ()
        """In force."""
        starting = starting_values(checkpoint.generation_defaults)
        self.rules, about_rules = read_rules(checkpoint.generation_defaults, shape.vocabulary)
        self._breakers = SequenceBreakers(
            self.tokenizer.vocabulary, self.tokenizer.token_bytes, self.tokenizer.encode
        )
        self.info = ModelInfo(
            name=checkpoint.name,
            path=str(path),
            format=checkpoint.format,
            family=checkpoint.family,
            parameters=checkpoint.parameters,
            quantisation=checkpoint.quantisation,
            computation=loading.computation(
                plan,
                prompts=decoder.prompt_products,
                cache_dtype=str(decoder.cache_dtype).removeprefix("torch."),
            ),
            device=plan.device,
            file_bytes=checkpoint.file_bytes,
            layers=shape.layers,
            heads=shape.heads,
            vocabulary=shape.vocabulary,
            trained_context=shape.context,
            context=self.context.capacity,
            is_chat=self.template.is_chat,
            sampling=starting.parameters,
            sampling_source="the checkpoint" if starting.taken else "chatterm",
            rules=_counts(self.rules),
            exact=plan.exact and plan.quantise == "none",
            thinking=self.template.thinking if isinstance(self.template, ChatTemplate) else None,
            notices=(
                *checkpoint.notices,
                *self.tokenizer.notices,
                *self.template.notices,
                *starting.notices,
                *about_rules,
                *plan.notices,
                *loading.of_context(options.context, shape.context),
            ),
        )
        del checkpoint  # its vocabulary as Python lists is larger than the tokenizer
        give_back_memory()

    def new_sampler(self, begins: int | None = None) -> Sampler:
        """A sampler for one reply, which begins at that position; None where nobody knows."""
        return Sampler(
            self.info.vocabulary, self._breakers, self.tokenizer.end_ids, rules=self.rules, begins=begins
        )

    @staticmethod
    def begins(prompt: Prompt, ids: Sequence[int]) -> int | None:
        """Where in the tokens of a prompt the reply begins; None where a part of it is not told apart."""
        if isinstance(prompt, Chat) and prompt.continue_reply:
            return None
        return len(ids) - (0 if isinstance(prompt, Text) else len(prompt.begun))

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """A prompt as token ids.

        Raises:
            UserError: it cannot be rendered, is empty or too long, or names tokens that do not exist.
        """
        match prompt:
            case Chat():
                encoded = encode_chat(
                    self.tokenizer, self.template, prompt.messages, continue_reply=prompt.continue_reply
                )
                encoded = encoded._replace(ids=[*encoded.ids, *prompt.begun])
            case Text():
                encoded = EncodedPrompt(self.encode_text(prompt.text), prompt.text)
            case Tokens():
                encoded = EncodedPrompt([*prompt.ids, *prompt.begun], "")
        self._check(encoded.ids)
        return encoded

    def encode_text(self, text: str) -> list[int]:
        """A text to be continued as token ids, with the beginning token if the checkpoint wants one."""
        return self.tokenizer.encode(text, add_bos=True)

    def can_predict_now(self, request: Predict) -> bool:
        """Whether the cache holds the prompt, so that the answer disturbs no reply in progress."""
        return isinstance(request.prompt, Tokens) and self.context.holds(
            request.prompt.ids + request.prompt.begun
        )

    def predict(self, request: Predict, stopped: Callable[[], bool]) -> Predicted:
        """The distribution after a prompt. Nothing is read twice: what the cache holds is replayed.

        Raises:
            UserError: the prompt cannot be used, or the request was stopped while reading it.
        """
        ids = self.read(request.prompt, stopped)
        sampler = self.new_sampler(self.begins(request.prompt, ids))
        step = sampler.distribution(self.context.logits_after(len(ids)), ids, request.sampling)
        distribution = to_distribution(
            step, self.tokenizer, position=len(ids), candidates=request.candidates, also=request.also
        )
        return Predicted(request=request.request, prompt=tuple(ids), distribution=distribution)

    def read(self, prompt: Prompt, stopped: Callable[[], bool]) -> list[int]:
        """Have a prompt in the cache, and more after it if that is there already. Returns its ids.

        Raises:
            UserError: the prompt cannot be used, or the request was stopped while reading it.
        """
        ids = self.encode(prompt).ids
        if not self.context.holds(ids):
            self.context.begin(ids)
            for _ in self.context.read(ids):
                if stopped():
                    raise UserError("Stopped before the text was read.")
        return ids

    def inspect(self, question: AnyQuestion, stopped: Callable[[], bool]) -> AnyAnswer:
        """Look inside the model.

        Raises:
            UserError: the question cannot be answered with this checkpoint, or it was stopped.
        """
        return inspecting.answer(self, question, stopped)

    def _check(self, ids: list[int]) -> None:
        name, vocabulary, room = self.info.name, self.info.vocabulary, self.context.capacity
        if not ids:
            raise UserError("The prompt is empty: give the model some text to go on from.")
        if not all(0 <= token < vocabulary for token in ids):
            wrong = next(token for token in ids if not 0 <= token < vocabulary)
            raise UserError(f"Token {wrong} does not exist: {name} has tokens 0 to {vocabulary - 1}.")
        if len(ids) > room:
            raise UserError(
                f"The conversation is {len(ids)} tokens long and {name} holds {room} here; "
                "begin a new one or shorten it."
            )


def _counts(rules: Rules) -> RuleCounts:
    return RuleCounts(
        suppressed=len(rules.suppressed),
        at_beginning=len(rules.at_beginning),
        bad_words=len(rules.bad_words),
        biased=len(rules.biases),
        no_repeat=rules.no_repeat,
        least=max(rules.least_reply, rules.least_text),
        stops=len(rules.stops),
    )


def _needs(checkpoint: Checkpoint, options: LoadOptions) -> loading.Needs:
    shape = checkpoint.architecture
    tokens = min(loading.MINIMUM_CONTEXT, shape.context)
    # What the cache holds a number in is decided later; two bytes are the least.
    cache = shape.cache_bytes(options.context, 2) if options.context else shape.cache_bytes(tokens)
    return loading.Needs(
        name=checkpoint.name,
        quantisation=checkpoint.quantisation,
        parameters=checkpoint.parameters,
        packed_bytes=checkpoint.packed_bytes,
        other_bytes=memory_working(shape, tokens) + cache,
        stays_packed=expected(),
        context_bytes=cache if options.context else 0,
    )
