"""Inputs by the rule of norm_golden.json, and tensors as its JSON has them; for the scripts beside it."""

import torch


def det(shape, seed):
    """x_i = ((i*37 + seed*97) mod 101)/17 - 3, row-major, float64."""
    count = 1
    for size in shape:
        count *= size
    values = [((i * 37 + seed * 97) % 101) / 17 - 3 for i in range(count)]
    return torch.tensor(values, dtype=torch.float64).reshape(shape)


def plain(tensor):
    return None if tensor is None else {"shape": list(tensor.shape), "data": tensor.detach().double().flatten().tolist()}
