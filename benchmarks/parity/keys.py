"""One key of config.json at a time: what transformers makes of it, and what chatterm does.

For every family a tiny random folder is saved by transformers in both styles of `config.json`; then one
key is added, changed or taken out, transformers reads the folder back, and both compute 64 tokens in float32.
Where a value asks for other tensors than the folder has, the model is made anew. Each change ends as one of

right      the same log-probabilities, to 1e-4 nats
refused    with the key's name in the sentence
unnamed    refused, by a sentence that speaks of something else, such as a tensor that is left over
wrong      other numbers
no answer  transformers itself does not load or run it, so there is nothing to agree with
"""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.parity import reference
from benchmarks.parity.cases import Case
from benchmarks.parity.key_rotary import DROPPED
from benchmarks.parity.key_values import BASES, changes
from benchmarks.parity.measure import TOLERANCE
from chatterm.checkpoint.open import open_checkpoint
from chatterm.errors import UserError
from chatterm.model.load import load_decoder


@dataclass(frozen=True)
class Outcome:
    """What became of one change."""

    family: str
    style: str  # of config.json: "new", "old"
    change: dict[str, Any]
    kind: str  # "right", "refused", "unnamed", "wrong", "no answer"
    detail: str

    def line(self) -> str:
        """For the terminal."""
        change = ", ".join(
            f"{key} taken out" if value is DROPPED else f"{key} = {value!r:.90}"
            for key, value in self.change.items()
        )
        return f"{self.kind:9}  {self.family:15} {self.style}  {change}  [{self.detail.splitlines()[0]:.150}]"


def main(arguments: list[str]) -> int:
    """Run all changes of the families (all, if none is named); exit status 1 if one of them is wrong.

    With `--quick` among the arguments, only the newer style and few of the rotary changes.
    """
    import transformers

    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    quick = "--quick" in arguments
    families = [argument for argument in arguments if argument != "--quick"]
    counts: Counter[str] = Counter()
    for family in families or BASES:
        mine: Counter[str] = Counter()
        for found in sweep(family, quick=quick):
            mine[found.kind] += 1
            if found.kind != "right":
                print(found.line(), flush=True)
        print(f"{family}: {dict(mine)}", flush=True)
        counts += mine
    print(f"all: {dict(counts)}")
    return int(bool(counts["wrong"]))


def sweep(family: str, *, quick: bool = False) -> Iterator[Outcome]:
    """All changes of one family, in both styles; `quick`: some of them, in the newer one."""
    for style in ("new",) if quick else ("new", "old"):
        with tempfile.TemporaryDirectory() as scratch:
            base = _base(family, style, Path(scratch))
            for change in changes(family, _read(base), rotary_only=style == "old", quick=quick):
                yield _outcome(family, style, change, base)


def outcome(family: str, style: str, change: dict[str, Any], scratch: Path) -> Outcome:
    """What becomes of one change; `scratch` is an empty folder, or one that the same family and style had."""
    return _outcome(family, style, change, _base(family, style, scratch))


def _base(family: str, style: str, scratch: Path) -> Path:
    """The folder that is changed."""
    if (scratch / "base").exists():
        return scratch / "base"
    case = Case(family, "base", BASES[family], style=style)  # type: ignore[arg-type]
    reference.save(case, reference.make_model(case), scratch / "base")
    return scratch / "base"


def _read(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return config


def _outcome(family: str, style: str, change: dict[str, Any], base: Path) -> Outcome:
    folder, tokens = base.parent / "changed", reference.text()
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder)
    after = copy.deepcopy(_read(base)) | copy.deepcopy(change)
    after = {key: value for key, value in after.items() if key not in change or change[key] is not DROPPED}
    (folder / "config.json").write_text(json.dumps(after), "utf-8")
    try:
        expected = _expected(folder, after, tokens)
    except Exception as error:  # whatever transformers does not take
        return Outcome(family, style, change, "no answer", f"{type(error).__name__}: {error}")
    kind, detail = _ours(folder, set(change), expected, tokens)
    return Outcome(family, style, change, kind, detail)


def _expected(folder: Path, config: dict[str, Any], tokens: Tensor) -> Tensor:
    """What transformers computes; the weights are made anew where those of the folder do not fit."""
    from transformers import AutoConfig, AutoModelForCausalLM

    model, info = None, None
    with suppress(RuntimeError, ValueError):
        model, info = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
    if info is None or info["missing_keys"] or info["mismatched_keys"]:
        made = AutoConfig.from_pretrained(folder)
        torch.manual_seed(0)
        fresh: nn.Module = AutoModelForCausalLM.from_config(made, attn_implementation="eager").eval()
        reference.fill(fresh)
        fresh.save_pretrained(folder)
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return reference.logprobs(model.eval(), tokens)


def _ours(folder: Path, names: set[str], expected: Tensor, tokens: Tensor) -> tuple[str, str]:
    try:
        decoder = load_decoder(open_checkpoint(folder), threads=0)
        cache = decoder.new_cache(len(tokens))
        found = decoder(tokens, cache, last_only=False).log_softmax(-1)
    except UserError as error:
        named = any(name in error.sentence for name in _inner(names))
        return ("refused" if named else "unnamed"), error.sentence.removeprefix(str(folder))
    difference = float((found - expected).abs().max())
    finite = bool(torch.isfinite(expected).all())
    if not finite:
        return "no answer", "transformers gives no numbers"
    return ("right" if difference < TOLERANCE else "wrong"), f"{difference:.1e} nats"


def _inner(names: set[str]) -> set[str]:
    """Rotary settings are told by the key within their object."""
    within = {"rope_parameters", "rope_scaling"} & names
    return names | (
        {"truncate", "rotary", "partial_rotary_factor", "full_attention", "head_dim"} if within else set()
    )
