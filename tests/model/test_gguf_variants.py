"""What unusual checkpoints say in a GGUF file is heard: the numbers are those of transformers on "
"the folder."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.parity import gguf_files, reference
from benchmarks.parity.cases import TRAINED, WINDOW, Case
from benchmarks.parity.measure import TOLERANCE
from chatterm.checkpoint.open import open_checkpoint
from chatterm.model.load import load_decoder

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": TRAINED}
LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0, 1.1, 1.2, 1.3, 1.5, 2.0, 2.5, 3.0],
    "long_factor": [1.0, 1.3, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0],
    "original_max_position_embeddings": TRAINED,
}
PLAIN = {"rope_type": "default", "rope_theta": 10_000.0}
LAYERS = ["full_attention", "sliding_attention", "sliding_attention"]
OLMO3 = {
    "sliding_window": WINDOW,
    "layer_types": LAYERS,
    "rope_parameters": {
        "full_attention": YARN | {"rope_theta": 10_000.0, "attention_factor": 1.7},
        "sliding_attention": PLAIN,
    },
}
GEMMA3 = {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": WINDOW}
WINDOWED = {"attention.sliding_window": WINDOW, "attention.sliding_window_pattern": [False, True, True]}
DENSE = {
    "feed_forward_length": 77,
    "expert_count": 0,
    "expert_shared_feed_forward_length": 96,
    "rope.scaling.finetuned": True,
    "ssm.conv_kernel": 4,
    "ssm.inner_size": 128,
}
MULTIPLIERS = {
    "embedding_multiplier": 3.0,
    "attention_multiplier": 0.2,
    "residual_multiplier": 0.4,
    "logits_scaling": 1.7,
}

VARIANTS: dict[str, tuple[Case, dict[str, Any]]] = {
    "yarn with an attention factor of its own": (
        Case("llama", "", rope=YARN | {"attention_factor": 1.7}),
        {"rope.scaling.yarn_attn_factor": 1.7},
    ),
    "yarn without sharpening, as in Mistral's own format": (
        Case("mistral", "", {"sliding_window": None}, rope=YARN | {"attention_factor": 1.0}),
        {"rope.scaling.yarn_log_multiplier": 1.0},
    ),
    "olmo 3: windows, and yarn in full layers only": (
        Case("olmo3", "", OLMO3),
        WINDOWED | {"rope.scaling.yarn_attn_factor": 1.7},
    ),
    "a mistral whose file has the window": (
        Case("mistral", "", {"sliding_window": WINDOW}),
        {"attention.sliding_window": WINDOW},
    ),
    "gemma 3 with every layer full": (
        Case("gemma3_text", "", GEMMA3 | {"layer_types": ["full_attention"] * 3}),
        {"attention.sliding_window": 0},
    ),
    "gemma 3 with a window pattern in the file": (
        Case("gemma3_text", "", GEMMA3 | {"layer_types": LAYERS}),
        WINDOWED,
    ),
    "phi 3 with a window of 0, which is none": (Case("phi3", ""), {"attention.sliding_window": 0}),
    "longrope in a llama, with its factors": (Case("llama", "", rope=LONGROPE), {}),
    "a dense granite 4": (Case("granite", "", MULTIPLIERS), DENSE),
    "gpt-2 with a feed-forward width of its own": (Case("gpt2", "", {"n_inner": 96}), {}),
    "phi 2 with fewer keys than queries": (Case("phi", ""), {"attention.head_count_kv": 4}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_gguf_file_says_what_the_folder_says(name, tmp_path, quiet_transformers):
    case, further = VARIANTS[name]
    model, tokens = reference.make_model(case), reference.text()
    written = replace(case, family="olmo2") if case.family == "olmo3" else case
    gguf_files.write_gguf(written, model, tmp_path / "x.gguf", further)
    decoder = load_decoder(open_checkpoint(tmp_path / "x.gguf"), threads=0)
    ours = decoder(tokens, decoder.new_cache(len(tokens)), last_only=False).log_softmax(-1)
    assert float((ours - reference.logprobs(model, tokens)).abs().max()) < TOLERANCE
