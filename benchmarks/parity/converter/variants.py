"""All variants: of every family what is usual, and what a config.json may ask for beside it."""

from __future__ import annotations

from benchmarks.parity.converter import gemma_variants, llama_variants, other_variants, phi_variants

VARIANTS = (
    *llama_variants.VARIANTS,
    *gemma_variants.VARIANTS,
    *phi_variants.VARIANTS,
    *other_variants.VARIANTS,
)
