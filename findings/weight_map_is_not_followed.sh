#!/usr/bin/env bash
# transformers does not follow the weight_map of a sharded checkpoint.
#
# Expectation: model.safetensors.index.json says for each tensor in which shard it lies ("weight_map": {tensor: file}), so a tensor
#   that lies in two of the shards (one uploaded anew, the other not) is read from the file that is named.
# Behaviour: the map's values only say which files are opened. Of a tensor in two files the one in the file whose name sorts last is
#   taken, without a warning; a tensor that the map does not list at all is taken too.
# Seen with transformers 5.23.0, torch 2.13.0, safetensors of that day (November 2026):
#   the index names model-00001-of-00005.safetensors; loaded the number of model-00005-of-00005.safetensors; warnings: none
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0
cd "$work"
"$work/venv/bin/python" - <<'PY'
import json, logging, sys
from pathlib import Path
import torch, transformers
from safetensors.torch import load_file, save_file

told = []
class Keep(logging.Handler):
    def emit(self, record): told.append(record.getMessage())
transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.get_logger("transformers").addHandler(Keep(level=logging.WARNING))

folder = Path("model")
config = transformers.LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=2,
                                  num_attention_heads=2, num_key_value_heads=2)
transformers.LlamaForCausalLM(config).save_pretrained(folder, max_shard_size="20KB")
index = json.loads((folder / "model.safetensors.index.json").read_text())
files = sorted(set(index["weight_map"].values()))
first, last = files[0], files[-1]
name = next(tensor for tensor, file in index["weight_map"].items() if file == first)
here, there = load_file(folder / first), load_file(folder / last)
here[name].fill_(1.0)
there[name] = torch.full_like(here[name], 2.0)
save_file(here, folder / first, {"format": "pt"})
save_file(there, folder / last, {"format": "pt"})
assert index["weight_map"][name] == first

told.clear()
model = transformers.AutoModelForCausalLM.from_pretrained(folder)
value = model.state_dict()[name].flatten()[0].item()
print(f"the index names {first}; loaded the number of {first if value == 1 else last}; warnings: {told or 'none'}")
sys.exit(0 if value == 2.0 and not told else 1)
PY
