"""What this machine offers an engine."""

from __future__ import annotations

import platform

import psutil
import torch

from chatterm.engine.messages import Device, Examine, Examined


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
    )


def _devices() -> list[Device]:
    processor = platform.processor() or platform.machine()
    devices = [Device("cpu", f"{processor}, {psutil.cpu_count(logical=True)} logical cores")]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            devices.append(Device(f"cuda:{index}", properties.name, properties.total_memory))
    if torch.backends.mps.is_available():
        devices.append(Device("mps", "Apple GPU"))
    return devices
