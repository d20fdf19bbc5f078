"""What may be handed to the operators: they get bare addresses, so everything else is checked here.

A wrong tensor would not fail there: the operator would read or write beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def address(tensor: Tensor, what: str, shape: Sequence[int], *types: torch.dtype) -> int:
    """Where the numbers of a contiguous tensor on the CPU are.

    Args:
        tensor: to be handed over.
        what: it is called in the error.
        shape: that it must have.
        types: one of which its numbers must have.

    Raises:
        ValueError: it is something else.
    """
    _check_kind(tensor, what, types)
    if tuple(tensor.shape) != tuple(shape):
        raise ValueError(f"{what} must have the shape {tuple(shape)}, not {tuple(tensor.shape)}")
    if not tensor.is_contiguous():
        raise ValueError(f"{what} must be contiguous, not with the strides {tensor.stride()}")
    return tensor.data_ptr()


def rows_address(tensor: Tensor, what: str, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> int:
    """As `address`, but rows, the first dimension, may be any distance apart.

    Raises:
        ValueError: it is something else.
    """
    _check_kind(tensor, what, (dtype,))
    if tuple(tensor.shape) != tuple(shape):
        raise ValueError(f"{what} must have the shape {tuple(shape)}, not {tuple(tensor.shape)}")
    size, strides = 1, tensor.stride()
    for length, stride in zip(reversed(shape[1:]), reversed(strides[1:]), strict=True):
        if length != 1 and stride != size:
            raise ValueError(f"each row of {what} must be contiguous, not with the strides {strides}")
        size *= length
    if shape[0] > 1 and strides[0] < size:
        raise ValueError(f"the rows of {what} overlap: their strides are {strides}")
    return tensor.data_ptr()


def indices_address(tensor: Tensor, what: str, count: int, stop: int) -> int:
    """As `address` for `count` int64 numbers from 0 to `stop - 1`.

    Raises:
        ValueError: it is something else, or one of them is out of range.
    """
    found = address(tensor, what, (count,), torch.int64)
    if count:
        least, most = torch.aminmax(tensor)
        if least < 0 or most >= stop:
            wrong = int(least if least < 0 else most)
            raise ValueError(f"{what} must be from 0 to {stop - 1}, and one is {wrong}")
    return found


def _check_kind(tensor: Tensor, what: str, types: Sequence[torch.dtype]) -> None:
    if tensor.dtype not in types:
        wanted = " or ".join(str(each).removeprefix("torch.") for each in types)
        raise ValueError(f"{what} must be {wanted}, not {str(tensor.dtype).removeprefix('torch.')}")
    if tensor.device.type != "cpu" or tensor.layout is not torch.strided:
        raise ValueError(f"{what} must be dense numbers on the CPU, not {tensor.layout} on {tensor.device}")
