#!/usr/bin/env bash
# A GGUF file in which "</s>" is a word that is matched in any text (type USER_DEFINED), beside an end of its own, as in
# Gemma 3, whose vocabulary has HTML's tags; read by llama.cpp.
#
# Expected: a reply ends at the token that the file states as its end ("tokenizer.ggml.eos_token_id"); "</s>", which closes
#   text that is struck through, is part of a reply like <b> or </b>.
# Seen with llama.cpp of October 2026 (xllamacpp 2026.10.11549): the token's name alone makes it a control token that
#   ends generation. A reply that strikes a word through stops there; "</b>" beside it does not.
#     </b>: goes on    </s>: stops ("eos")
# Exits with 0 as long as that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q xllamacpp==2026.10.11549 gguf==0.19.0
cd "$folder"
cat > look.py <<'PY'
import json
import urllib.request

import gguf
import numpy as np
import xllamacpp

kinds = gguf.TokenType
letters = [chr(code) for code in [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]]
letters += [chr(0x100 + index) for index in range(256 - len(letters))]  # GPT-2's alphabet of bytes
tokens = ["<eos>", "</b>", "</s>", *letters, "ab"]
types = [kinds.CONTROL, kinds.USER_DEFINED, kinds.USER_DEFINED, *[kinds.NORMAL] * (len(letters) + 1)]
random, width, wide = np.random.default_rng(0), 64, 96

writer = gguf.GGUFWriter("tiny.gguf", "llama")
writer.add_context_length(128)
writer.add_embedding_length(width)
writer.add_block_count(1)
writer.add_feed_forward_length(wide)
writer.add_head_count(2)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_rope_dimension_count(width // 2)
writer.add_vocab_size(len(tokens))
writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("gpt-2")
writer.add_token_list(tokens)
writer.add_token_types(types)
writer.add_token_merges(["a b"])
writer.add_eos_token_id(0)
shapes = {"token_embd": (len(tokens), width), "output": (len(tokens), width), "output_norm": (width,)}
shapes |= {f"blk.0.{name}_norm": (width,) for name in ("attn", "ffn")}
shapes |= {f"blk.0.attn_{name}": (width, width) for name in ("q", "k", "v", "output")}
shapes |= {"blk.0.ffn_gate": (wide, width), "blk.0.ffn_up": (wide, width), "blk.0.ffn_down": (width, wide)}
for name, shape in shapes.items():
    writer.add_tensor(f"{name}.weight", random.normal(size=shape).astype(np.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

params = xllamacpp.CommonParams()
params.model.path = "tiny.gguf"
params.n_ctx, params.warmup, params.port = 128, False, 0
server = xllamacpp.Server(params)


def stops(token):
    """Why a reply ends of which every token is this one."""
    body = {"prompt": "a", "n_predict": 3, "temperature": 0, "logit_bias": [[token, 1000.0]]}
    request = urllib.request.Request(server.listening_address + "/completion", json.dumps(body).encode())
    return json.load(urllib.request.urlopen(request, timeout=60))["stop_type"]


seen = {tokens[token]: stops(token) for token in (1, 2)}
print(seen)
assert seen == {"</b>": "limit", "</s>": "eos"}, "it behaves otherwise now"
PY
"$folder/venv/bin/python" look.py 2> log || { grep -v "^$" log | tail -12; exit 1; }
