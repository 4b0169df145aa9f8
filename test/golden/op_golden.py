# Makes op.golden.json: outputs and gradients of every case, from PyTorch in float64.
# Usage: npx tsx test/golden/op_cases.ts | python test/golden/op_golden.py > test/golden/op.golden.json
import json
import sys

import torch as t
import torch.nn.functional as F

PRIME = 10007


def cotangent(shape, k):
    n = 1
    for size in shape:
        n *= size
    step = 7919 + 101 * (20 + k)
    walk = [(((i + 1) * step + 13 * (20 + k)) % PRIME) / PRIME for i in range(n)]
    return t.tensor([-2 + 4 * v for v in walk], dtype=t.float64).reshape(shape)


golden = {}
for case in json.load(sys.stdin):
    inputs = []
    for given in case["inputs"]:
        x = t.tensor(given["data"], dtype=t.float64).reshape(given["shape"]).to(getattr(t, given["kind"]))
        inputs.append(x.requires_grad_(given["grad"]))
    y = eval(case["torch"], {"t": t, "F": F, **dict(zip("abcdefg", inputs))})
    y.backward(cotangent(y.shape, 0))
    golden[case["key"]] = {
        "outputs": [{"shape": list(y.shape), "data": y.detach().reshape(-1).tolist()}],
        "grads": [None if x.grad is None else x.grad.reshape(-1).tolist() for x in inputs],
    }
json.dump(golden, sys.stdout, separators=(",", ":"))
