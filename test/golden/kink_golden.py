# Makes kinks.golden.json: values and gradients of first and second order of every case of test/cases/kinks.ts, from PyTorch. Where PyTorch's
# float32 is not the rounded value of its float64 at the same point, that stands beside.
# Usage: npx tsx test/golden/kink_cases.ts | python test/golden/kink_golden.py > test/golden/kinks.golden.json
import json
import math
import struct
import sys

import torch as t
import torch.nn.functional as F


def encode(v, dtype):
    if isinstance(v, bool) or isinstance(v, int):
        return int(v)
    if math.isnan(v):
        return "NaN"
    if math.isinf(v):
        return "Infinity" if v > 0 else "-Infinity"
    if v == 0 and math.copysign(1, v) < 0:
        return "-0"
    if v == int(v) and abs(v) < 1e15:
        return int(v)
    return float(f"{v:.9g}") if dtype == "float32" else v


def differs(value, truth):
    if math.isnan(value) or math.isnan(truth):
        return math.isnan(value) != math.isnan(truth)
    if value == truth:
        return math.copysign(1, value) != math.copysign(1, truth)
    if math.isinf(value) or math.isinf(truth):
        return True
    return abs(value - truth) > 4e-7 * abs(truth) + 2e-45


def to_float32(v):
    try:
        return struct.unpack("f", struct.pack("f", v))[0]
    except OverflowError:
        return math.copysign(math.inf, v)


def flat(x):
    # Some zeros have no memory.
    return [0.0] * x.numel() if x._is_zerotensor() else x.detach().reshape(-1).tolist()


def run(case, dtype):
    """Lists of (name, values or None): the output, the gradients of the inputs, and those of their sum with 0.75 by the inputs and the cotangent."""
    inputs = []
    for given in case["inputs"]:
        kind = given.get("kind")
        x = t.tensor([float(v) for v in given["data"]], dtype=t.float64)
        if not kind:
            x = x.to(getattr(t, case["dtype"]))  # the same points in both
        x = x.to(getattr(t, kind or dtype)).reshape(given["shape"])
        inputs.append(x.requires_grad_(not kind and not given.get("constant")))
    y = eval(case["torch"], {"t": t, "F": F, **dict(zip("abcd", inputs))})
    found = [("y", y)]
    if not y.requires_grad:
        return found
    wanted = [x for x in inputs if x.requires_grad]
    names = [f"d{i}" for i, x in enumerate(inputs) if x.requires_grad]
    g = t.full_like(y, 1.5).requires_grad_()
    try:
        first = t.autograd.grad(y, wanted, g, create_graph=True, allow_unused=True)
        found += zip(names, first)
        recorded = [d for d in first if d is not None and d.requires_grad]
        second = [None] * (len(wanted) + 1)
        if recorded:
            second = t.autograd.grad(recorded, [*wanted, g], [t.full_like(d, 0.75) for d in recorded], allow_unused=True)
        found += zip([f"d{name}" for name in [*names, "g"]], second)
    except RuntimeError as error:
        if "not implemented" not in str(error):
            raise
        # Its names are then absent.
    return found


golden = {}
for case in json.load(sys.stdin):
    dtype = case["dtype"]
    entry = {}
    truths = dict(run(case, "float64")) if dtype == "float32" else {}
    for name, found in run(case, dtype):
        if found is None:
            entry[name] = None
            continue
        values = flat(found)
        entry[name] = [encode(v, dtype) for v in values]
        truth = truths.get(name)
        if truth is not None and found.is_floating_point():
            exact = [to_float32(v) for v in flat(truth)]
            beside = {i: encode(e, dtype) for i, (v, e) in enumerate(zip(values, exact)) if differs(v, e)}
            if beside:
                entry[f"{name}, exactly"] = beside
    golden[f"{case['torch']} | {dtype}"] = entry
sys.stdout.write("{" + ",\n".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in golden.items()) + "}\n")
