"""What the engine says in English, in the language spoken: sentences of its own, and names of facts."""

from __future__ import annotations

import re

from chatterm.language import _, mark

SENTENCES = (
    mark("loading"),
    mark("checking"),
    mark("measuring"),
    mark("reading the prompt"),
    mark("downloading {name}"),
    mark("checking {name}"),
    mark("unpacking {name}"),
    mark("waiting for another download of {name}"),
    mark("asking {hub} for {repository}"),
    mark("{name}: a {family} model in {quantisation} that is whole and runs."),
    mark("{name}: a {family} model in {quantisation} that cannot be trusted."),
    mark("{rates} GB/s with 1 … {count} threads"),
    mark("by torch"),
    mark("by torch ({reason})"),
    mark("no matrix unit that chatterm knows"),
    mark("{name}, {count} logical cores"),
    mark("head {name} off"),
    mark("head {name} × {scale}"),
    mark("feed-forward {layer} off"),
    mark("feed-forward {layer} × {scale}"),
    mark("block {layer} off"),
    mark("block {layer} × {scale}"),
    mark("neuron {name} off"),
    mark("neuron {name} × {scale}"),
    mark("steered after block {layer} from {away} to {toward} × {strength}"),
    mark("{folder} holds an adapter beside the whole model; it is not applied."),
    mark(
        "{folder} holds two sets of weights with different numbers; {chosen} was loaded and {other} was not."
    ),
    mark("{folder} says that the output matrix is the embedding, but holds another one, which is used."),
    mark(
        "It has no chat template, so it is treated as a base model: conversations are written "
        "as a plain dialogue."
    ),
)
"""What it works on, checked, measured and edited; in braces stands what it is about."""

UNITS = (mark("tensors"), mark("tokens"))

FACTS = (
    *(mark("name"), mark("path"), mark("source"), mark("format"), mark("file bytes"), mark("family")),
    *(mark("parameters"), mark("quantisation"), mark("trained context"), mark("is chat")),
    *(mark("memory bytes"), mark("step bytes"), mark("is ours"), mark("licence"), mark("problem")),
    *(mark("layers"), mark("width"), mark("heads"), mark("kv heads"), mark("head size"), mark("ffn width")),
    *(mark("vocabulary"), mark("norm"), mark("activation"), mark("positions"), mark("window"), mark("tied")),
    mark("not in the file"),
    *(mark("context"), mark("cache bytes per token"), mark("rules"), mark("limits"), mark("not used")),
    *(mark("tensors"), mark("entropy"), mark("cache difference")),
    *(mark("tokenizer"), mark("begins with"), mark("ends with"), mark("chat template"), mark("notes")),
    mark("notices"),
    *(mark("repository"), mark("downloads"), mark("likes"), mark("changed"), mark("page")),
)
"""Names of the facts about a checkpoint."""

TRUTH = (mark("True"), mark("False"))

SOURCES = (mark("your models"), mark("extra folder"), mark("Hugging Face cache"))
"""Where checkpoints were found, as far as it is not a name."""

MEASURED = (
    *(mark("threads chosen"), mark("streaming read"), mark("weights × vector"), mark("prompts, float32")),
    *(mark("prompts, 2×bf16"), mark("CUDA graphs")),
)
"""What is measured of the machine."""

ONE_WAY_ROUGH = " (one way in 16 bits)"

IDENTITIES = (
    mark("the lens after the last block is the logits"),
    mark("attention rows sum to 1"),
    mark("attention sees neither the future nor what left the window"),
    mark("a block's input, attention and feed-forward sum to its output"),
    mark("the contributions sum to the logit"),
    mark("an edit with scale 1 changes nothing"),
    mark("a head switched off is its slice of the output matrix zeroed"),
    mark("a block switched off passes on what it was given"),
    mark("later text changes nothing earlier"),
    mark("token by token gives the same as all at once"),
    mark("a replayed step gives the same as when it was read"),
    mark("sampled probabilities sum to 1, and kept and removed mass too"),
    mark("temperature towards 0 takes the most probable token"),
    mark("log-odds go with one over the temperature"),
)
"""What the self-check checks."""

ERROR_UNITS = (mark("logit"), mark("probability"), mark("relative"), mark("nats"))

_PATTERNS = {
    text: re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(text)), re.DOTALL)
    for text in SENTENCES
    if "{" in text
}


def sentence(said: str) -> str:
    """One of the sentences; anything else as it stands."""
    for text, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(said):
            return _(text).format(**found.groupdict())
    return _(said) if said in SENTENCES else said


def fact(name: str) -> str:
    """The name of a fact about a checkpoint, from that of its field."""
    return _(name.replace("_", " "))


def value(thing: object) -> str:
    """The value of a fact; only what is yes or no, or a line that is a sentence, has words."""
    if isinstance(thing, bool):
        return _(str(thing))
    return " ".join(map(sentence, str(thing).split("\n")))


def identity(name: str) -> str:
    """What the self-check checked."""
    rough = name.endswith(ONE_WAY_ROUGH)
    return _(name.removesuffix(ONE_WAY_ROUGH)) + (_(" (one way in 16 bits)") if rough else "")
