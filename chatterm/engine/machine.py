"""What this machine offers an engine."""

from __future__ import annotations

import contextlib
import platform
from pathlib import Path

import psutil
import torch

from chatterm import inert
from chatterm.checkpoint.memory import available_memory
from chatterm.engine.loading import Place
from chatterm.engine.messages import Device, Examine, Examined
from chatterm.model.graphs import capturing
from chatterm.model.native.build import NotBuiltError, library
from chatterm.model.tuning import Tuning, tuning

BFLOAT16_SINCE = (8, 0)
"""Compute capability from which a GPU multiplies bfloat16; older ones would imitate it."""


def examine(request: Examine) -> Examined:
    """Versions, threads, devices and memory."""
    memory = psutil.virtual_memory()
    return Examined(
        request=request.request,
        torch=str(torch.__version__),
        threads=torch.get_num_threads(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        devices=tuple(_devices()),
        available_bytes=memory.available,
        total_bytes=memory.total,
        measured=_measured(tuning(anew=request.measure)),
    )


def _measured(found: Tuning) -> dict[str, str]:
    each = ", ".join(f"{rate:.1f}" for rate in found.multiply.values())
    unit = found.matrix_unit
    return {
        "threads chosen": str(found.threads),
        "streaming read": f"{found.stream:.1f} GB/s",
        "weights × vector": f"{each} GB/s with 1 … {len(found.multiply)} threads" if each else _by_torch(),
        "prompts, float32": f"{found.float32:.0f} GFLOP/s",
        "prompts, 2×bf16": f"{unit:.0f} GFLOP/s" if unit else "no matrix unit that chatterm knows",
    } | ({"CUDA graphs": capturing(torch.device("cuda"))} if torch.cuda.is_available() else {})


def _by_torch() -> str:
    """Why the operator does not do it."""
    try:
        library()
    except NotBuiltError as error:
        return f"by torch ({inert.line(str(error))})"
    return "by torch"


def places() -> list[Place]:
    """The devices as the decisions of loading see them, the fastest first: the GPU with most room leads.

    A GPU on which this torch cannot compute, because it is too old or its driver is, is not among them.
    """
    found = []
    if torch.cuda.is_available():
        for index in filter(_computes, range(torch.cuda.device_count())):
            free, _ = torch.cuda.mem_get_info(index)
            bfloat16 = torch.cuda.get_device_capability(index) >= BFLOAT16_SINCE
            found.append(Place(f"cuda:{index}", free, bfloat16=bfloat16))
        found.sort(key=lambda place: -place.free_bytes)
    if torch.backends.mps.is_available():
        found.append(Place("mps", available_memory(), shares_memory=True))
    return [*found, Place("cpu", available_memory())]


def free_bytes(device: torch.device) -> int:
    """Memory that a device has left now."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return available_memory()


def _computes(index: int) -> bool:
    """Whether a CUDA device multiplies."""
    try:
        ones = torch.ones(16, 16, device=f"cuda:{index}")
        return float((ones @ ones).sum()) == 16.0**3
    except RuntimeError:
        return False


def _devices() -> list[Device]:
    devices = [Device("cpu", f"{_processor()}, {psutil.cpu_count(logical=True)} logical cores")]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            devices.append(Device(f"cuda:{index}", properties.name, properties.total_memory))
    if torch.backends.mps.is_available():
        devices.append(Device("mps", "Apple GPU"))
    return devices


def _processor() -> str:
    """Its name; on Linux `platform` knows only the architecture."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return inert.line(" ".join(value.split()))
    return platform.processor() or platform.machine()
