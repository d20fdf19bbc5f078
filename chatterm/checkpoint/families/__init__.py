"""The families of models that load, one small entry each, and the sentences for those that do not."""

from __future__ import annotations

from chatterm.checkpoint.families import cohere, gemma, gpt, granite, llama, phi
from chatterm.checkpoint.families.family import Family

FAMILIES: tuple[Family, ...] = (
    *llama.FAMILIES,
    *granite.FAMILIES,
    *gemma.FAMILIES,
    *phi.FAMILIES,
    *gpt.FAMILIES,
    *cohere.FAMILIES,
)
BY_MODEL_TYPE: dict[str, Family] = {kind: family for family in FAMILIES for kind in family.model_types}
"""`model_type` of a config.json → family."""
BY_GGUF_ARCHITECTURE: dict[str, Family] = {
    kind: family for family in FAMILIES for kind in family.gguf_architectures
}
"""`general.architecture` of a GGUF file → family."""
