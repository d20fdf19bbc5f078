#!/usr/bin/env bash
# The older name of `rope_type` is without effect in two families of Hugging Face transformers.
#
# Expectation: a config.json may write "rope_scaling": {"type": "linear", "factor": 8.0}; "type" is the older name of
#   "rope_type", and transformers reads it as such ("BC: rope_type was originally type").
# Behaviour: so it does in Llama, Qwen 3, Gemma 2 and the other families with one rotary setting for all layers. In
#   the families with one for each layer type (Gemma 3, OLMo 3) the object is laid over a default that already has
#   {"rope_type": "default"}, which wins: the scaling stands in the configuration and is not applied. All that is said
#   is a warning that the key "factor" is not recognised for the type "default".
#   With a factor of 8 the full layers then read positions eight times as far apart as the model was trained with.
# Seen: transformers 5.23.0, Python 3.11:
#   llama linear, qwen3 linear, gemma2 linear, gemma3_text default, olmo3 default
#
# Exit status: 0 while that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.23.0
"$folder/venv/bin/python" - <<'PYTHON'
from transformers import AutoConfig

seen = {}
for family in ("llama", "qwen3", "gemma2", "gemma3_text", "olmo3"):
    config = AutoConfig.for_model(family, rope_scaling={"type": "linear", "factor": 8.0})
    seen[family] = config.rope_parameters.get("full_attention", config.rope_parameters)["rope_type"]
    print(family, seen[family])
expected = {"llama": "linear", "qwen3": "linear", "gemma2": "linear", "gemma3_text": "default", "olmo3": "default"}
raise SystemExit(seen != expected)
PYTHON
