"""transformers' `generate`: `python -m benchmarks.generate GGUF DTYPE THREADS`.

Loads the file as transformers itself reads GGUF (all weights unpacked), then for each line of its input
generates once and prints tokens per second, the prompt's reading not counted.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
import transformers

from benchmarks.engines import DECODED, REPLY_PROMPT


class Clock(transformers.StoppingCriteria):
    """Notes when each token was there."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **extra: object) -> torch.Tensor:
        """Never stops."""
        self.times.append(time.perf_counter())
        return torch.zeros(input_ids.shape[0], dtype=torch.bool)


def main() -> None:
    """Load, then answer line by line."""
    file, dtype, threads = Path(sys.argv[1]), getattr(torch, sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    folder = str(file.parent)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file.name, dtype=dtype).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file.name)
    prompt = tokenizer(REPLY_PROMPT, return_tensors="pt")
    model.generate(**prompt, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    print("ready", flush=True)
    for _ in sys.stdin:
        clock = Clock()
        model.generate(
            **prompt,
            max_new_tokens=DECODED,
            min_new_tokens=DECODED,
            do_sample=False,
            stopping_criteria=transformers.StoppingCriteriaList([clock]),
        )
        print((len(clock.times) - 1) / (clock.times[-1] - clock.times[0]), flush=True)


if __name__ == "__main__":
    main()
