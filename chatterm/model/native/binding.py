"""ctypes structures and functions of the native decode step (`step.c`), which they mirror field by field."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_float, c_int, c_int32, c_size_t, c_void_p
from pathlib import Path

ALIGNMENT = 64
MOST_MATRICES = 3
"""Multiplied with the same vectors in one call, at most."""


class Matrix(Structure):
    """A weight matrix in tiles of 16 rows (`tiles.h`)."""

    _fields_ = (
        ("kind", c_int32),
        ("rows", c_int32),
        ("columns", c_int32),
        ("reserved", c_int32),
        ("data", c_void_p),
        ("bias", c_void_p),
    )


class Norm(Structure):
    """Weights of a norm; null for none."""

    _fields_ = (("weight", c_void_p), ("bias", c_void_p))


class Layer(Structure):
    """One block."""

    _fields_ = (
        *((name, Matrix) for name in ("queries", "keys", "values", "output", "gate", "up", "down")),
        *(
            (name, Norm)
            for name in (
                "attention_norm",
                "ffn_norm",
                "attention_output_norm",
                "ffn_output_norm",
                "query_norm",
                "key_norm",
            )
        ),
        ("rotary", c_int32),
        ("window", c_int32),
        ("attention_scale", c_float),
        ("reserved", c_int32),
    )


class Model(Structure):
    """The whole decoder."""

    _fields_ = (
        *(
            (name, c_int32)
            for name in (
                "layers",
                "width",
                "heads",
                "kv_heads",
                "head_size",
                "ffn_width",
                "vocabulary",
                "rotary_dimensions",
                "norm_kind",
                "activation",
                "gated",
                "parallel",
                "shared_norm",
                "query_key_norm",
            )
        ),
        *(
            (name, c_float)
            for name in (
                "norm_eps",
                "attention_soft_cap",
                "logit_soft_cap",
                "embedding_scale",
                "residual_scale",
                "logit_scale",
            )
        ),
        ("embedding", Matrix),
        ("unembedding", Matrix),
        ("final_norm", Norm),
        ("positions", c_void_p),
        ("layer", POINTER(Layer)),
    )


RECORDED = (
    *("input", "queries", "keys", "values", "heads", "attention_output", "middle", "activations"),
    *("ffn_output", "output"),
)
"""Tap points of a block whose values a step can record."""


class Record(Structure):
    """Where the values of all blocks go, each `(layers, T, numbers of one token)`; null for none."""

    _fields_ = tuple((name, c_void_p) for name in RECORDED)


class Step(Structure):
    """Some tokens and where their step reads and writes."""

    _fields_ = (
        ("tokens", c_void_p),
        *(
            (name, c_int32)
            for name in ("count", "shared", "capacity", "narrow", "first_logits", "logits_stride")
        ),
        *((name, c_void_p) for name in ("positions", "slots", "starts")),
        ("keys", c_void_p),
        ("values", c_void_p),
        ("key_scales", c_void_p),
        ("value_scales", c_void_p),
        ("cosines", POINTER(c_void_p)),
        ("sines", POINTER(c_void_p)),
        ("logits", c_void_p),
        ("record", Record),
    )


def open_library(path: Path) -> ctypes.CDLL:
    """Load the compiled operator.

    Raises:
        OSError: it cannot be loaded, or was compiled from other structures.
    """
    library = ctypes.CDLL(str(path))
    signatures = {
        "chatterm_sizes": (c_int, ()),
        "chatterm_most_rows": (c_int, ()),
        "chatterm_kind": (c_int, (c_int,)),
        "chatterm_packed_bytes": (c_size_t, (c_int, c_int, c_int)),
        "chatterm_pack": (
            None,
            (c_void_p, c_int, c_void_p, c_size_t, c_void_p, c_int, c_int, c_void_p),
        ),
        "chatterm_expand": (None, (c_void_p, POINTER(Matrix), c_void_p, c_int)),
        "chatterm_rows": (None, (POINTER(Matrix), c_void_p, c_int, c_void_p)),
        "chatterm_multiply": (
            None,
            (c_void_p, POINTER(POINTER(Matrix)), c_int, c_void_p, c_int, c_void_p, c_void_p),
        ),
        "chatterm_scratch": (c_size_t, (c_int,)),
        "chatterm_pool": (c_void_p, (c_int,)),
        "chatterm_threads": (c_int, (c_void_p,)),
        "chatterm_end_pool": (None, (c_void_p,)),
        "chatterm_engine": (c_void_p, (POINTER(Model), c_void_p, c_int)),
        "chatterm_end_engine": (None, (c_void_p,)),
        "chatterm_watch": (None, (c_void_p, c_void_p)),
        "chatterm_step": (None, (c_void_p, POINTER(Step))),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, list(arguments)
    sizes = [ctypes.sizeof(structure) for structure in (Matrix, Layer, Model, Step)]
    expected = sizes[0] * 1_000_000 + sizes[1] * 1000 + sizes[2] + sizes[3]
    if library.chatterm_sizes() != expected:
        raise OSError(f"{path} was compiled for other structures")
    return library
