#!/usr/bin/env bash
# `rope_theta` of an OLMo 3 configuration reaches only its full layers in Hugging Face transformers 5.
#
# Expectation: a config.json in the older style has one `rope_theta`, which is the base of every layer, as in all other
#   families and as transformers 4.57 reads it.
# Behaviour: the value is taken out of the keys for the full layers and is gone when the windowed ones ask for it; those
#   get 500000, whatever the file says. Nothing is said, and saving the configuration writes the two bases down.
#   Harmless for the published models, whose base is 500000; a model trained with another one is wrong in three layers
#   of four.
# Seen: transformers 4.57.6: one base, 10000.0; transformers 5.23.0: full 10000.0, windowed 500000.0. Python 3.11.
#
# Exit status: 0 while that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ask() {
  python3 -m venv "$folder/$1"
  "$folder/$1/bin/pip" install --quiet "transformers==$1"
  "$folder/$1/bin/python" - <<'PYTHON'
from transformers import AutoConfig

config = AutoConfig.for_model("olmo3", rope_theta=10000.0)
rope = getattr(config, "rope_parameters", None)
bases = {kind: rope[kind]["rope_theta"] for kind in sorted(rope)} if rope else config.rope_theta
print(bases)
PYTHON
}
older=$(ask 4.57.6 | tail -1)
newer=$(ask 5.23.0 | tail -1)
echo "4.57.6: $older"
echo "5.23.0: $newer"
[ "$older" = "10000.0" ] && [ "$newer" = "{'full_attention': 10000.0, 'sliding_attention': 500000.0}" ]
