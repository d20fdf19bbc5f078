"""On a machine with a GPU: is it right there, and how fast? `python -m benchmarks gpu [--write]`.

Runs the tests that need a GPU, then a model of random weights in bfloat16 (Llama's shape, 7B where it fits):
single steps against what the GPU's memory allows, prompts, and the same weights in transformers. It takes
less than ten minutes and needs nothing from outside. Where there is no GPU it says so and measures nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.figures import Spread, ratio, table
from chatterm.checkpoint.open import open_checkpoint
from chatterm.model.load import load_decoder

NO_GPU = "Not measured: this machine has no GPU that torch can compute on (CUDA)."
TESTS = ("tests/engine/test_devices.py", "tests/model/test_graphs.py")
PROMPTS = (64, 512, 2048)
DECODED = 128
WARM_UPS = 8
"""Steps that do not count: in the first ones a graph is captured."""
COPIED_BYTES = 4 << 30


@dataclass(frozen=True)
class Shape:
    """Of a model in Llama's form."""

    name: str
    width: int
    layers: int
    heads: int
    kv_heads: int
    ffn_width: int
    vocabulary: int = 32_000

    @property
    def config(self) -> dict[str, object]:
        """As `config.json` has it."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "intermediate_size": self.ffn_width,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10_000.0,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
        }

    def tensors(self, layer: int) -> dict[str, tuple[int, ...]]:
        """Shapes of one block's weights, by their names in a file."""
        kv = self.width // self.heads * self.kv_heads
        block = f"model.layers.{layer}."
        return {
            f"{block}input_layernorm.weight": (self.width,),
            f"{block}post_attention_layernorm.weight": (self.width,),
            f"{block}self_attn.q_proj.weight": (self.width, self.width),
            f"{block}self_attn.k_proj.weight": (kv, self.width),
            f"{block}self_attn.v_proj.weight": (kv, self.width),
            f"{block}self_attn.o_proj.weight": (self.width, self.width),
            f"{block}mlp.gate_proj.weight": (self.ffn_width, self.width),
            f"{block}mlp.up_proj.weight": (self.ffn_width, self.width),
            f"{block}mlp.down_proj.weight": (self.width, self.ffn_width),
        }

    @property
    def edges(self) -> dict[str, tuple[int, ...]]:
        """The same for what stands outside the blocks."""
        return {
            "model.embed_tokens.weight": (self.vocabulary, self.width),
            "model.norm.weight": (self.width,),
            "lm_head.weight": (self.vocabulary, self.width),
        }


SHAPES = (
    Shape("7B", 4096, 32, 32, 32, 11_008),
    Shape("1B", 2048, 16, 32, 8, 8192),
    Shape("0.1B", 576, 30, 9, 3, 1536),
)
ROOM = 3.0
"""Times the weights' bytes that must be free on the GPU: two copies of the model are there in turn."""


@dataclass(frozen=True)
class Figures:
    """Tokens per second of one program, a value a round."""

    prompts: dict[int, list[float]]
    decode: list[float]
    way: str = ""


def report(rounds: int = 3) -> str:
    """The section of the document."""
    if not torch.cuda.is_available():
        return NO_GPU
    device = torch.device("cuda:0")
    free, _ = torch.cuda.mem_get_info(device)
    with tempfile.TemporaryDirectory() as temporary:
        shape = next((one for one in SHAPES if ROOM * 2 * parameters(one) < free), SHAPES[-1])
        write_random(shape, Path(temporary), device)
        ours = measure_ours(Path(temporary), device, rounds)
        theirs = measure_transformers(Path(temporary), device, rounds)
    bandwidth = copy_bandwidth(device)
    # a step reads every weight but the embedding, of which it takes one row
    read = 2 * (parameters(shape) - shape.vocabulary * shape.width)
    name = f"{torch.cuda.get_device_name(device)}, {shape.name} in bfloat16, {parameters(shape) / 1e9:.2f}B"
    share = read * Spread(tuple(ours.decode)).median / bandwidth
    return f"""{name}. Tokens per second, medians of {rounds} (lowest … highest).
A step of ours runs as: {ours.way}. Copying within the GPU moves {bandwidth / 1e9:.0f} GB/s;
a step of ours reads {share:.2f} of that. Tests that need a GPU: {run_tests()}.

{compared(ours, theirs)}"""


def parameters(shape: Shape) -> int:
    """How many weights a model of that shape has."""
    sizes = [*shape.tensors(0).values()] * shape.layers + [*shape.edges.values()]
    return sum(torch.Size(size).numel() for size in sizes)


def write_random(shape: Shape, folder: Path, device: torch.device) -> None:
    """A checkpoint of seeded random weights in bfloat16: `config.json` and a file a block."""
    torch.manual_seed(0)

    def drawn(sizes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
        return {
            name: torch.ones(size, dtype=torch.bfloat16)
            if len(size) == 1
            else (torch.randn(size, device=device) / size[-1] ** 0.5).to(torch.bfloat16).cpu()
            for name, size in sizes.items()
        }

    files = {f"model-{layer + 1:05}.safetensors": shape.tensors(layer) for layer in range(shape.layers)}
    files["model-00000.safetensors"] = shape.edges
    for file, sizes in files.items():
        save_file(drawn(sizes), folder / file, metadata={"format": "pt"})
    places = {name: file for file, sizes in files.items() for name in sizes}
    index = {"metadata": {"total_size": 2 * parameters(shape)}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps(shape.config))


def measure_ours(folder: Path, device: torch.device, rounds: int) -> Figures:
    """chatterm's decoder, as the engine loads it on that device."""
    decoder = load_decoder(open_checkpoint(folder), device=device, dtype=torch.bfloat16, exact=False)
    vocabulary = decoder.architecture.vocabulary

    def read(count: int) -> None:
        decoder(_ids(count, vocabulary, device), decoder.new_cache(count))

    def write() -> float:
        cache = decoder.new_cache(DECODED + WARM_UPS + 1)
        return _rate_of_steps(lambda token: decoder(token, cache), vocabulary, device)

    with torch.inference_mode():
        prompts = {count: _rates(lambda count=count: read(count), count, device, rounds) for count in PROMPTS}
        write()
        decoded = [write() for _ in range(rounds)]
    return Figures(prompts, decoded, decoder.way)


def measure_transformers(folder: Path, device: torch.device, rounds: int) -> Figures:
    """The same checkpoint in transformers: eager steps over its dynamic cache."""
    from transformers import AutoModelForCausalLM, DynamicCache

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(device).eval()
    vocabulary = model.config.vocab_size

    def read(count: int) -> None:
        model(_ids(count, vocabulary, device)[None], use_cache=True, logits_to_keep=1)

    def write() -> float:
        cache = DynamicCache()
        return _rate_of_steps(
            lambda token: model(token[None], past_key_values=cache, use_cache=True).logits, vocabulary, device
        )

    with torch.inference_mode():
        prompts = {count: _rates(lambda count=count: read(count), count, device, rounds) for count in PROMPTS}
        write()
        decoded = [write() for _ in range(rounds)]
    return Figures(prompts, decoded)


def compared(ours: Figures, theirs: Figures) -> str:
    """The table of both."""
    rows = [(f"prompt {count}", ours.prompts[count], theirs.prompts[count]) for count in sorted(ours.prompts)]
    rows.append((f"decode {DECODED}", ours.decode, theirs.decode))
    cells = [
        (what, Spread(tuple(mine)).text(), Spread(tuple(other)).text(), f"**{ratio(mine, other).text(2)}**")
        for what, mine, other in rows
    ]
    return table(("what", "chatterm", "transformers, bfloat16", "ratio"), cells)


def copy_bandwidth(device: torch.device, count: int = COPIED_BYTES) -> float:
    """Bytes per second that a copy within the device's memory reads and writes, the fastest of five."""
    source = torch.empty(count, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)

    def once() -> float:
        _wait(device)
        began = time.perf_counter()
        target.copy_(source)
        _wait(device)
        return time.perf_counter() - began

    return 2 * count / min(once() for _ in range(5))


def run_tests() -> str:
    """What pytest says in its last line about the tests that need a GPU."""
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    counts = re.findall(r"\d+ (?:passed|failed|skipped|errors?)", result.stdout)
    return ", ".join(counts) or f"did not run (status {result.returncode})"


def _ids(count: int, vocabulary: int, device: torch.device) -> Tensor:
    return (torch.arange(1, count + 1, device=device) * 7919) % vocabulary


def _rates(read: Callable[[], None], count: int, device: torch.device, rounds: int) -> list[float]:
    """Tokens per second of reading `count` tokens, after one reading that does not count."""
    read()
    rates = []
    for _ in range(rounds):
        _wait(device)
        began = time.perf_counter()
        read()
        _wait(device)
        rates.append(count / (time.perf_counter() - began))
    return rates


def _rate_of_steps(step: Callable[[Tensor], object], vocabulary: int, device: torch.device) -> float:
    """Steps per second of `DECODED` single tokens, after some that do not count."""
    ids = _ids(DECODED + WARM_UPS, vocabulary, device)
    for at in range(WARM_UPS):
        step(ids[at : at + 1])
    _wait(device)
    began = time.perf_counter()
    for at in range(WARM_UPS, WARM_UPS + DECODED):
        step(ids[at : at + 1])
    _wait(device)
    return DECODED / (time.perf_counter() - began)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
