# Makes conv_transpose.golden.json: output, gradients of first and second order of F.conv_transpose2d over a grid of strides, dilations,
# paddings, output paddings (all legal ones, a stride and more too) and groups, from PyTorch in float64.
# Usage: python test/golden/conv_transpose_golden.py > test/golden/conv_transpose.golden.json
import itertools
import json
import sys

import torch
import torch.nn.functional as F
from golden_rule import det


def flat(t):
    return [round(v, 9) for v in t.detach().flatten().tolist()]


cases = []
for kernel, stride, dilation, padding, groups in itertools.product([2, 3], [1, 2, 3], [1, 2, 4], [0, 1, 2], [1, 2]):
    for extra in range(max(stride, dilation)):
        # Every third in full; the others would show nothing else.
        if (kernel + stride + dilation + padding + groups + extra) % 3 and extra < stride:
            continue
        # The axis in question is the rows for one group, the columns for two.
        axes = (lambda one, other: [one, other] if groups == 1 else [other, one])
        x = det([1, 2, *axes(3, 2)], 1).requires_grad_()
        w = det([2, 2 // groups, *axes(kernel, 1)], 2).requires_grad_()
        b = det([2], 3).requires_grad_()
        options = {"stride": axes(stride, 1), "dilation": axes(dilation, 1), "padding": axes(padding, 0), "output_padding": axes(extra, 0)}
        try:
            y = F.conv_transpose2d(x, w, b, groups=groups, **options)
        except RuntimeError:
            continue
        dy = det(list(y.shape), 4).requires_grad_()
        dx, dw, db = torch.autograd.grad(y, [x, w, b], dy, create_graph=True)
        second = (dx * det(list(dx.shape), 5)).sum() + (dw * det(list(dw.shape), 6)).sum()
        ddx, ddw, ddy = torch.autograd.grad(second, [x, w, dy])
        cases.append({"kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding, "outputPadding": extra, "groups": groups,
                      "shape": list(y.shape), "y": flat(y), "dx": flat(dx), "dw": flat(dw), "db": flat(db), "ddx": flat(ddx), "ddw": flat(ddw), "ddy": flat(ddy)})
sys.stdout.write("[" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "]\n")
