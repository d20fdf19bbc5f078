"""An empty machine, and small checkpoints to put on it."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No clone, no cache, no token, no other program; the user's models folder is the one returned."""
    folder = tmp_path / "models"
    monkeypatch.setattr("chatterm.checkpoint.folders.clone_models_folder", lambda: None)
    monkeypatch.setattr("chatterm.checkpoint.sources.OLLAMA_SERVICE", tmp_path / "service")
    monkeypatch.setenv("CHATTERM_MODELS", str(folder))
    monkeypatch.setenv("CHATTERM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    for variable in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "OLLAMA_MODELS"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    return folder


CONFIG = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 40,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
}
SHAPES = {
    "model.embed_tokens.weight": (40, 16),
    "model.norm.weight": (16,),
    "model.layers.0.input_layernorm.weight": (16,),
    "model.layers.0.post_attention_layernorm.weight": (16,),
    "model.layers.0.self_attn.q_proj.weight": (16, 16),
    "model.layers.0.self_attn.k_proj.weight": (8, 16),
    "model.layers.0.self_attn.v_proj.weight": (8, 16),
    "model.layers.0.self_attn.o_proj.weight": (16, 16),
    "model.layers.0.mlp.gate_proj.weight": (32, 16),
    "model.layers.0.mlp.up_proj.weight": (32, 16),
    "model.layers.0.mlp.down_proj.weight": (16, 32),
}
GGUF_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "model.layers.0.input_layernorm.weight": "blk.0.attn_norm.weight",
    "model.layers.0.post_attention_layernorm.weight": "blk.0.ffn_norm.weight",
    "model.layers.0.self_attn.q_proj.weight": "blk.0.attn_q.weight",
    "model.layers.0.self_attn.k_proj.weight": "blk.0.attn_k.weight",
    "model.layers.0.self_attn.v_proj.weight": "blk.0.attn_v.weight",
    "model.layers.0.self_attn.o_proj.weight": "blk.0.attn_output.weight",
    "model.layers.0.mlp.gate_proj.weight": "blk.0.ffn_gate.weight",
    "model.layers.0.mlp.up_proj.weight": "blk.0.ffn_up.weight",
    "model.layers.0.mlp.down_proj.weight": "blk.0.ffn_down.weight",
}


@pytest.fixture
def put_checkpoint():
    """Write a whole, tiny safetensors checkpoint of the Llama family into a folder."""

    def put(folder: Path, **config: object) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(CONFIG | config))
        (folder / "tokenizer.json").write_text("{}")
        save_file(
            {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()},
            folder / "model.safetensors",
        )
        return folder

    return put


@pytest.fixture
def put_gguf():
    """Write a tiny GGUF file of the Llama family, with a template; `split`: one that says it is a part."""

    def put(path: Path, licence: str = "", link: str = "", split: tuple[int, int] | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = gguf.GGUFWriter(path, "llama")
        if licence:
            writer.add_license(licence)
            writer.add_license_link(link)
        if split is not None:
            writer.add_uint16("split.no", split[0])
            writer.add_uint16("split.count", split[1])
        writer.add_block_count(1)
        writer.add_context_length(64)
        writer.add_embedding_length(16)
        writer.add_feed_forward_length(32)
        writer.add_head_count(2)
        writer.add_head_count_kv(1)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list([f"t{number}" for number in range(40)])
        writer.add_token_merges(["t 1"])
        writer.add_chat_template("{{ messages }}")
        for name, theirs in GGUF_NAMES.items():
            writer.add_tensor(theirs, np.zeros(SHAPES[name], np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return put


@pytest.fixture
def put_in_hub_cache(models: Path, put_checkpoint):
    """Put a checkpoint into the Hugging Face cache as the hub's library does: links to blobs."""

    def put(repository: str, commit: str, ref: str | None = "main", leave_out: str | None = None) -> Path:
        home = Path("~/.cache/huggingface/hub").expanduser() / f"models--{repository.replace('/', '--')}"
        blobs, snapshot = home / "blobs", home / "snapshots" / commit
        blobs.mkdir(parents=True, exist_ok=True)
        snapshot.mkdir(parents=True)
        for number, file in enumerate(sorted(put_checkpoint(home / "made").iterdir())):
            blob = blobs / f"{commit[:8]}{number}"
            (snapshot / file.name).symlink_to(Path("../..") / "blobs" / blob.name)
            file.rename(blob if file.name != leave_out else blob.with_suffix(".incomplete"))
        (home / "made").rmdir()
        if ref is not None:
            (home / "refs").mkdir(exist_ok=True)
            (home / "refs" / ref).write_text(commit)
        return snapshot

    return put
