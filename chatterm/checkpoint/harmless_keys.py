"""Keys of a `config.json` that change no number of a reply, with the reason for each group."""

from __future__ import annotations

HARMLESS: dict[str, tuple[str, ...]] = {
    "names, versions and where the file comes from": (
        *("_name_or_path", "name_or_path", "architectures", "model_type", "auto_map", "transformers_version"),
        *("_commit_hash", "is_llama_config", "transformers.js_config", "task_specific_params"),
    ),
    "how weights are stored or placed; ours are read as they lie": (
        *(
            "dtype",
            "torch_dtype",
            "quantization_config",
            "pretraining_tp",
            "tensor_parallel",
            "use_safetensors",
        ),
        *("max_shard_size", "torchscript", "use_bfloat16", "pruned_heads", "device_map"),
    ),
    "numbers of tokens: the tokenizer and generation_config.json have them": (
        *("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "decoder_start_token_id"),
        *("cls_token_id", "mask_token_id", "unk_token_id", "tokenizer_class", "prefix"),
    ),
    "training only: nothing is dropped out and nothing initialised here": (
        *(
            "attention_dropout",
            "hidden_dropout",
            "attn_pdrop",
            "embd_pdrop",
            "resid_pdrop",
            "residual_dropout",
        ),
        *(
            "embedding_dropout",
            "classifier_dropout",
            "summary_first_dropout",
            "dropout",
            "activation_dropout",
        ),
        *("initializer_range", "initializer_factor", "init_std", "gradient_checkpointing"),
        *("router_aux_loss_coef", "output_router_logits", "router_jitter_noise"),
    ),
    "heads for other tasks than writing": (
        *("id2label", "label2id", "num_labels", "problem_type", "finetuning_task", "classifier_bias"),
        *("summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels"),
        "summary_last_dropout",
    ),
    "how the same numbers are computed, cached or handed back": (
        *("use_cache", "use_return_dict", "return_dict", "output_attentions", "output_hidden_states"),
        *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
        *("_attn_implementation_autoset", "_flash_attn_2_enabled", "use_flash_attn", "cache_implementation"),
        *("experts_implementation", "chunk_size_feed_forward", "reorder_and_upcast_attn", "is_decoder"),
        *("attention_softmax_in_fp32", "scale_attention_softmax_in_fp32", "tie_last_hidden_states"),
        *("num_logits_to_keep", "sub_configs", "keys_to_ignore_at_inference"),
    ),
    "whether there are biases: the tensors of the file say so, and are checked against the family": (
        *("attention_bias", "mlp_bias", "use_bias", "use_qkv_bias", "qkv_bias", "bias"),
    ),
    "say more about another key, which is judged by itself": (
        *("use_sliding_window", "max_window_layers", "sliding_window_pattern", "rope_local_base_freq"),
        *("no_rope_layer_interval", "_sliding_window_pattern"),
    ),
    "looked at before any of this": ("is_encoder_decoder",),
    "another name of something that is read": ("n_ctx", "vocab_size_or_config_json_file"),
}
"""Reason → keys that change no number of a reply."""
