"""Opening: what a checkpoint says about itself, and every refusal as one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from chatterm.checkpoint.architecture import LinearScaling, Llama3Scaling, YarnScaling
from chatterm.checkpoint.families import FAMILIES
from chatterm.checkpoint.open import open_checkpoint
from chatterm.errors import UserError
from tests.checkpoint.written import CONFIG, SHAPES, opened, weights, write
from tests.faults import specimens
from tests.faults.gguf_damage import Parts


def test_it_says_what_it_is(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "generation_config.json").write_text('{"temperature": 0.6, "top_k": 20}')
    checkpoint = opened(tmp_path)
    assert (checkpoint.name, checkpoint.format, checkpoint.family) == ("model", "safetensors", "llama")
    assert checkpoint.quantisation == "float32"
    assert checkpoint.parameters == sum(int(np.prod(shape)) for shape in SHAPES.values())
    assert checkpoint.file_bytes == (tmp_path / "model" / "model.safetensors").stat().st_size
    assert checkpoint.generation_defaults == {"temperature": 0.6, "top_k": 20}
    assert checkpoint.folder == tmp_path / "model" and checkpoint.gguf is None
    architecture = checkpoint.architecture
    assert (architecture.layers, architecture.heads, architecture.kv_heads, architecture.head_size) == (
        2,
        4,
        2,
        4,
    )
    assert architecture.cache_bytes(10) == 2 * 2 * 8 * 10 * 4


def test_a_cached_snapshot_is_named_after_its_repository(tmp_path):
    snapshot = tmp_path / "models--org--some-name" / "snapshots" / "0a1b"
    snapshot.mkdir(parents=True)
    assert open_checkpoint(write(snapshot)).name == "org/some-name"


def test_opening_imports_no_torch():
    code = "import sys, chatterm.checkpoint.open; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_embedding_is_no_output_matrix_where_nothing_says_so(tmp_path):
    untied = weights() | {"lm_head.weight": np.ones((32, 16), np.float32)}
    assert opened(tmp_path).architecture.tied
    assert not open_checkpoint(write(tmp_path / "b", CONFIG, untied)).architecture.tied
    for said in ({"tie_word_embeddings": False}, {"tie_word_embeddings": None}):
        with pytest.raises(UserError, match=r"lacks the tensor “lm_head\.weight”; it has no output matrix"):
            opened(tmp_path, **said)


def test_both_styles_of_rope_settings_mean_the_same(tmp_path):
    llama3 = {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    }
    old = opened(tmp_path, rope_theta=5e5, rope_scaling={"type": "llama3", **llama3}).architecture
    new = opened(
        tmp_path, rope_theta=None, rope_parameters={"rope_type": "llama3", "rope_theta": 5e5, **llama3}
    ).architecture
    assert old == new
    assert old.layer_options[0].rotary.scaling == Llama3Scaling(8.0, 1.0, 4.0, 32)


def test_rope_defaults_are_those_of_the_papers(tmp_path):
    def scaling(**settings: Any) -> object:
        return opened(tmp_path, rope_scaling=settings).architecture.layer_options[0].rotary.scaling

    assert scaling(rope_type="linear", factor=2) == LinearScaling(2.0)
    yarn = scaling(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)
    assert yarn == YarnScaling(4.0, 16, pytest.approx(0.1 * np.log(4) + 1), 32.0, 1.0)
    weighted = scaling(rope_type="yarn", factor=4.0, mscale=1.0, mscale_all_dim=1.0)
    assert (weighted.attention_factor, weighted.trained) == (1.0, 64)
    assert scaling(rope_type="default") is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model_type": "mixtral"}, r"“mixtral”, a mixture of experts, .* llama, mistral, qwen2"),
        ({"model_type": "qwen3_moe"}, "a mixture of experts"),
        ({"model_type": "gpt_oss"}, "a mixture of experts"),
        ({"model_type": "deepseek_v3"}, "a mixture of experts"),
        ({"num_local_experts": 8}, "“llama”, a mixture of experts"),
        ({"model_type": "llava", "vision_config": {"x": 1}}, "“llava”, a multimodal model"),
        ({"model_type": "gemma3", "text_config": {"x": 1}}, "“gemma3”, a multimodal model"),
        ({"model_type": "qwen2_vl"}, "a multimodal model"),
        ({"model_type": "mamba2"}, "a state-space or recurrent model"),
        ({"model_type": "falcon_h1"}, "a state-space or recurrent model"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "“t5”, an encoder-decoder"),
        ({"model_type": "bart"}, "an encoder-decoder"),
        ({"model_type": "bert"}, "an encoder"),
        ({"model_type": "something_new", "auto_map": {"AutoModel": "x.py"}}, "“something_new” which"),
        ({"model_type": None}, "“.not stated.”"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantised with gptq"),
        ({"rope_scaling": {"rope_type": "mrope"}}, "rotary scaling “mrope” is not supported"),
        ({"hidden_act": "mish"}, "“hidden_act” is 'mish'"),
        ({"num_attention_heads": 0}, "“num_attention_heads” is 0"),
        ({"num_hidden_layers": 10**9}, "“num_hidden_layers” is 1000000000"),
        ({"num_key_value_heads": 3}, "a divisor of the 4 attention heads"),
        ({"hidden_size": "16"}, "“hidden_size” is '16'"),
        ({"vocab_size": None}, "“vocab_size” is missing"),
        ({"rms_norm_eps": float("inf")}, "“rms_norm_eps” is inf"),
        ({"hidden_size": 32}, "has the shape 32×16 where the configuration asks for 32×32"),
        ({"num_hidden_layers": 3}, r"lacks the tensor “model\.layers\.2\.input_layernorm\.weight”"),
        ({"num_hidden_layers": 1}, "9 tensors that have no place in a llama decoder"),
    ],
)
def test_refusals_are_one_clear_sentence(tmp_path, changes, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        opened(tmp_path, **changes)
    assert str(tmp_path) in error.value.sentence


def test_an_alibi_falcon_is_refused(tmp_path):
    with pytest.raises(UserError, match="ALiBi"):
        opened(tmp_path, model_type="falcon", alibi=True)


def test_biases_in_some_layers_only_are_an_incomplete_checkpoint(tmp_path):
    arrays = weights() | {"model.layers.0.self_attn.q_proj.bias": np.ones(16, np.float32)}
    with pytest.raises(UserError, match=r"lacks the tensor “model\.layers\.1\.self_attn\.q_proj\.bias”"):
        open_checkpoint(write(tmp_path / "model", CONFIG, arrays))


def test_stray_buffers_are_passed_over_but_unknown_parameters_are_not(tmp_path):
    stray = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(2, np.float32)}
    open_checkpoint(write(tmp_path / "model", CONFIG, weights() | stray))
    unknown = {"model.layers.0.self_attn.sinks": np.ones(4, np.float32)}
    with pytest.raises(UserError, match=r"1 tensors that have no place .*self_attn\.sinks"):
        open_checkpoint(write(tmp_path / "model", CONFIG, weights() | unknown))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nothing", "does not exist"),
        ("weights.bin", "is a pickle"),
        ("model.pth", "is a pickle"),
        ("model.safetensors", "pass its folder"),
        ("empty", r"has no config\.json"),
        ("ggufs", r"pass one of them, such as .*a\.gguf"),
        ("pickled", "pickle .* can run any code"),
        ("text.gguf", "not a GGUF file"),
    ],
)
def test_paths_that_hold_no_checkpoint(tmp_path, name, sentence):
    for file in ("weights.bin", "model.pth", "model.safetensors", "text.gguf"):
        (tmp_path / file).write_text("hello")
    for folder in ("empty", "ggufs", "pickled"):
        (tmp_path / folder).mkdir()
    (tmp_path / "ggufs" / "a.gguf").touch()
    (tmp_path / "pickled" / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "pickled" / "pytorch_model.bin").touch()
    with pytest.raises(UserError, match=sentence):
        open_checkpoint(tmp_path / name)


OTHER_KEYS = (
    *("head_dim", "rope_scaling", "rope_parameters", "sliding_window", "use_sliding_window", "layer_types"),
    *("no_rope_layers", "partial_rotary_factor", "hidden_act", "logit_scale", "num_kv_heads", "alibi"),
    *("query_pre_attn_scalar", "max_window_layers", "sliding_window_pattern", "add_cross_attention"),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    family=st.sampled_from([family.model_types[0] for family in FAMILIES]),
    key=st.sampled_from([*CONFIG, *OTHER_KEYS]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["rope_type", "factor", "rope_theta", "full_attention"]), inner, max_size=3
            )
        ),
        max_leaves=4,
    ),
)
def test_no_configuration_escapes_as_another_error(tmp_path_factory, tmp_path, family, key, value):
    write(tmp_path / "model", CONFIG | {"model_type": family} | {key: value})
    try:
        open_checkpoint(tmp_path / "model")
    except UserError as error:
        assert "\n" not in error.sentence


def test_weights_of_integers_are_refused_when_read(tmp_path):
    from chatterm.checkpoint.tensors import read_weight

    arrays = weights()
    arrays["model.norm.weight"] = np.ones(16, np.int64)
    checkpoint = open_checkpoint(write(tmp_path / "model", CONFIG, arrays))
    assert checkpoint.quantisation == "float32"
    with pytest.raises(UserError, match="stored as I64"):
        read_weight(checkpoint, "final_norm.weight")


# --- GGUF -----------------------------------------------------------------------------------------------


def test_weights_are_views_of_the_file(tmp_path):
    from chatterm.checkpoint.tensors import read_weight

    checkpoint = open_checkpoint(write(tmp_path / "model"))
    assert load_file(tmp_path / "model" / "model.safetensors")
    tensor = read_weight(checkpoint, "embedding.weight")
    stored = checkpoint.stored["model.embed_tokens.weight"]
    assert tensor.data_ptr() == stored.data.ctypes.data


def test_a_matrix_written_as_one_long_row_is_refused(tmp_path):
    """Packed blocks could not be cut into rows again; the decode step would read beside them."""
    path = specimens.gguf_file(tmp_path / "a.gguf", blocks="Q8_0")
    parts = Parts.of(path.read_bytes())
    for info in parts.infos:
        if info.name == b"blk.0.attn_q.weight":
            info.shape = [info.shape[0] * info.shape[1]]
    path.write_bytes(parts.joined())
    with pytest.raises(
        UserError, match=r"“blk\.0\.attn_q\.weight” has the shape 1024 where the configuration"
    ):
        open_checkpoint(path)


def test_norms_of_single_heads_have_one_shape(tmp_path):
    config = CONFIG | {"model_type": "stablelm", "qk_layernorm": True, "partial_rotary_factor": 0.5}
    arrays = weights()
    for layer in range(2):
        for slot, heads in (("q", 4), ("k", 2)):
            for head in range(heads):
                name = f"model.layers.{layer}.self_attn.{slot}_layernorm.norms.{head}.weight"
                arrays[name] = np.ones(5 if (layer, slot, head) == (1, "q", 3) else 4, np.float32)
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(arrays, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="do not belong together"):
        open_checkpoint(tmp_path)
