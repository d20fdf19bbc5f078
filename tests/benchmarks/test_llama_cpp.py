"""What llama.cpp is compiled for; building it takes a quarter of an hour and is left to the benchmarks."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.llama_cpp import options, processor_flags
from chatterm.errors import UserError

SERVER = ("fma", "f16c", "bmi2", "avx2", "avx512f", "avx512_vnni", "amx_tile", "amx_int8", "amx_bf16")


def test_every_instruction_set_is_used_but_the_matrix_unit() -> None:
    arguments = options("native", SERVER)
    assert {"-DGGML_AVX512=ON", "-DGGML_AVX512_VNNI=ON", "-DGGML_AVX2=ON"} <= set(arguments)
    assert {"-DGGML_AVX512_BF16=OFF", "-DGGML_NATIVE=OFF"} <= set(arguments)
    assert not [one for one in arguments if "AMX" in one]


def test_avx2_is_without_everything_newer() -> None:
    on = [one for one in options("avx2", SERVER) if one.startswith("-DGGML") and one.endswith("=ON")]
    assert on == ["-DGGML_AVX2=ON", "-DGGML_FMA=ON", "-DGGML_F16C=ON", "-DGGML_BMI2=ON"]


def test_another_kind_of_processor_is_left_to_the_compiler() -> None:
    assert "-DGGML_NATIVE=ON" in options("native", ("asimd", "sve"))
    with pytest.raises(UserError, match="AVX2"):
        options("avx2", ("fma", "f16c"))


def test_a_processor_is_read_from_what_the_kernel_says(tmp_path: Path) -> None:
    said = tmp_path / "cpuinfo"
    said.write_text("processor : 0\nflags\t\t: fpu avx2 fma\nprocessor : 1\nflags : fpu\n")
    assert processor_flags(said) == ("fpu", "avx2", "fma")
    assert processor_flags(tmp_path / "none") == ()
