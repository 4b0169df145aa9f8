"""Writes print.golden.json: how PyTorch prints tensors, for test/tensor/print.test.ts.

Run: python test/golden/print_golden.py   (made with PyTorch 2.13.0)
Each row: dtype, shape, values in row-major order (specials as strings; long ones as the scale of a walk), requires_grad, printed form.
"""

import json
import math
import pathlib

import torch as t

inf, nan = math.inf, math.nan


class walk(list):
    def __init__(self, n, scale=1.0):
        super().__init__(value(i, scale) for i in range(n))
        self.scale = scale


def value(i, scale):
    return scale * (((i + 1) * 7919 % 10007) / 10007 - 0.5)


CASES = [
    ("float32", [], [3.0]), ("float32", [], [0.1]), ("float32", [], [1e-7]), ("float32", [], [nan]),
    ("float32", [3], [1, 2, 3]), ("float32", [3], [1, 2000, 3]), ("float32", [3], [1, 1000, 0]),
    ("float32", [3], [1e8, 2e8, -3e8]), ("float32", [2], [1.5e9, 2]), ("float32", [3], [0.5, -0.25, 100.125]),
    ("float32", [4], [0.03125, 0.09375, -0.15625, 2.03125]), ("float32", [3], [1e-5, 0.5, 1]),
    ("float32", [5], [nan, inf, -inf, 1, -2]), ("float32", [5], [nan, inf, -inf, 0.5, -2.25]),
    ("float32", [3], [nan, inf, 1e-9]), ("float32", [3], [0.0, -0.0, 0.0]), ("float32", [3], [0.0, -0.0, 0.5]),
    ("float32", [2], [-1e-5, 1.0]), ("float64", [2], [1.00005, 100000.5]), ("float64", [3], [0.1, 0.2, 0.30000000001]),
    ("float64", [2], [1.0000500000000001e-10, 1.5]), ("float32", [2, 3], [1, 2, 3, 4, 5, 6]),
    ("float32", [2, 3], walk(6, 10)), ("float32", [2, 2, 3], walk(12)), ("float32", [2, 1, 2, 3], walk(12, 300)),
    ("float32", [30], walk(30)), ("float32", [3, 17], walk(51, 50)), ("float64", [25], walk(25, 1e5)),
    ("float32", [1001], walk(1001)), ("float32", [40, 30], walk(1200)), ("float32", [3, 400], walk(1200, 2)),
    ("float32", [8, 5, 4, 9], walk(1440)), ("float32", [5, 300, 1], walk(1500)),
    ("int64", [3], [1, -20, 300]), ("int64", [], [7]), ("int64", [2], [2**62, -1]), ("int64", [40], list(range(40))),
    ("int64", [1200], list(range(1200))), ("int32", [3], [1, 2, 3]), ("uint8", [2, 2], [0, 255, 7, 8]),
    ("bool", [3], [1, 0, 1]), ("bool", [2, 2], [1, 0, 0, 1]), ("bool", [], [1]), ("int32", [], [5]),
    ("float32", [0], []), ("float32", [0, 3], []), ("int64", [0], []), ("float64", [2, 0], []), ("bool", [0, 1], []),
    ("float32", [3], [1, 2, 3], True), ("float64", [6], walk(6), True), ("float64", [8], walk(8), True),
    ("float32", [9], walk(9), True), ("float64", [3, 4], walk(12), True),
]


def plain(value):
    return value if math.isfinite(value) and not (value == 0 and math.copysign(1, value) < 0) else str(value)


rows = []
for dtype, shape, values, *more in CASES:
    grad = bool(more)
    tensor = t.tensor(values, dtype=getattr(t, dtype)).reshape(shape).requires_grad_(grad)
    exact = values.scale if isinstance(values, walk) else [str(v) for v in values] if dtype == "int64" else [plain(v) for v in values]
    rows.append([dtype, shape, exact, grad, str(tensor)])
path = pathlib.Path(__file__).with_name("print.golden.json")
path.write_text(json.dumps(rows, separators=(",", ":")) + "\n")
