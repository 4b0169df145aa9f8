"""The pixels of images in the goldens of transforms: noise of a linear congruential generator, and ramps."""

import math

import torch


def image(shape, dtype):
    count = math.prod(shape)
    state, values = 12345, []
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        values.append(state // 2**23)
    # Half of it smooth, as photographs are.
    rows, columns = shape[-2:]
    smooth = [(i // columns % rows * 3 + i % columns * 2) % 256 for i in range(count)]
    pixels = torch.tensor([(a + b) // 2 for a, b in zip(values, smooth)], dtype=torch.uint8).reshape(shape)
    return pixels.to(dtype) / 255 if dtype.is_floating_point else pixels.to(dtype)
