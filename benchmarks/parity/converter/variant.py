"""What a variant is, and the rotary settings that several families' variants share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.parity.cases import TRAINED, Case

VOCABULARY = 320

LINEAR = {"rope_type": "linear", "factor": 4.0}
DYNAMIC = {"rope_type": "dynamic", "factor": 2.0}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": TRAINED,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": TRAINED}
YARN_SHARP = YARN | {"attention_factor": 1.7}
YARN_BETAS = YARN | {"beta_fast": 8.0, "beta_slow": 2.0}
YARN_MSCALE = YARN | {"mscale": 2.0, "mscale_all_dim": 1.0}
YARN_WHOLE = YARN | {"truncate": False, "beta_fast": 3.7, "beta_slow": 1.3}
LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.5, 2.0, 2.5, 3.0],
    "long_factor": [1.0, 1.3, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0],
    "original_max_position_embeddings": TRAINED,
}
PLAIN = {"rope_type": "default", "rope_theta": 10_000.0}
MIXED = ["full_attention", "sliding_attention", "sliding_attention"]
OTHER_BASES = {
    "sliding_attention": PLAIN | {"rope_theta": 300.0},
    "full_attention": PLAIN | {"rope_theta": 7e4},
}


@dataclass(frozen=True)
class Variant:
    """One checkpoint, and how the converter is called for it."""

    family: str  # model_type
    what: str  # is special about it
    config: dict[str, Any] = field(default_factory=dict)
    rope: dict[str, Any] | None = None
    twin: dict[str, Any] | None = None
    """Changes of `config` (`rope` too) to a checkpoint with the same weights that is expected to give the
    same file, because the file has no place for what sets the two apart."""
    edits: dict[str, Any] = field(default_factory=dict)  # of config.json, when it has been saved; "-" drops
    files: dict[str, Any] = field(default_factory=dict)  # further JSON files in the folder
    options: tuple[str, ...] = ()  # further arguments of the converter
    old_keys: bool = False  # config.json as before `rope_parameters`
    raw: bool = (
        False  # the converter reads config.json itself, as it does where transformers does not know it
    )
    bare: bool = False  # saved as the base model, without an output matrix
    mistral_params: dict[str, Any] = field(default_factory=dict)
    mistral_format: bool = False  # read from params.json

    @property
    def name(self) -> str:
        """Unique."""
        return f"{self.family}, {self.what}"

    def case(self) -> Case:
        """For `reference.make_model`."""
        return Case(self.family, self.what, {"vocab_size": VOCABULARY, **self.config}, self.rope)

    def twin_variant(self) -> Variant:
        """The checkpoint that gives the same file."""
        from dataclasses import replace

        changes = dict(self.twin or {})
        rope = changes.pop("rope", self.rope)
        edits = self.edits | changes.pop("edits", {})
        bare = changes.pop("bare", self.bare)
        return replace(self, config=self.config | changes, rope=rope, edits=edits, twin=None, bare=bare)
