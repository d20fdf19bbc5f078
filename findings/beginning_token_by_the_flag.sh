#!/usr/bin/env bash
# A checkpoint whose tokenizer_config.json says "add_bos_token": true, read by transformers.
#
# Expected: every text begins with the beginning token, since the documentation of LlamaTokenizer says
#   "add_bos_token (`bool`, *optional*, defaults to `True`)", and transformers 4 did both what the flag says and,
#   without the flag, what its default says.
# Seen with transformers 5.23.0 (tokenizers 0.23): beside a tokenizer.json the flag is thrown away before the tokenizer is
#   made, so that only the file's post-processor counts; and a folder that has tokenizer.model alone and no flag gets
#   no beginning token at all. Without one a Llama is off by more than a nat.
#     tokenizer.json, flag true:        no <s>
#     tokenizer.model, no flag:         no <s>
#     tokenizer.model, flag true:       <s>
# Exits with 0 as long as that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q transformers==5.23.0 sentencepiece==0.2.2 protobuf==6.33.2
cd "$folder"
cat > look.py <<'PY'
import json
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaTokenizer, PreTrainedTokenizerFast

texts = ["the tide comes in and the tide goes out", "high at noon and low at dusk"] * 30
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(texts), model_prefix="trained", vocab_size=290, model_type="bpe", byte_fallback=True,
    minloglevel=2,
)


def begins(name, kind, flag):
    folder = Path(name)
    folder.mkdir(exist_ok=True)
    config = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | flag))
    if kind is LlamaTokenizer:
        (folder / "tokenizer.model").write_bytes(Path("trained.model").read_bytes())
    else:
        backend = Tokenizer(models.BPE(vocab={"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3}, merges=[]))
        backend.add_special_tokens(["<unk>", "<s>", "</s>"])
        backend.save(str(folder / "tokenizer.json"))
    return kind.from_pretrained(folder)("a").input_ids[0] == 1


seen = {
    "tokenizer.json, flag true": begins("json", PreTrainedTokenizerFast, {"add_bos_token": True}),
    "tokenizer.model, no flag": begins("model", LlamaTokenizer, {}),
    "tokenizer.model, flag true": begins("model-flag", LlamaTokenizer, {"add_bos_token": True}),
}
print(seen)
assert list(seen.values()) == [False, False, True], "it behaves otherwise now"
PY
"$folder/venv/bin/python" look.py
