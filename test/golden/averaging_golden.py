"""Writes averaging.golden.json: fused layers, update_bn and AveragedModel of PyTorch, for test/nn/.

Run: python test/golden/averaging_golden.py   (made with PyTorch 2.13.0)
Inputs follow the rule of norm_golden.json; see golden_rule.py.
"""

import json
import pathlib

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from torch.optim import swa_utils

from golden_rule import det, plain


def fill(module, seed=1):
    """Floats by the rule, variances positive; counters stay."""
    with torch.no_grad():
        for i, (name, tensor) in enumerate(module.state_dict().items()):
            if tensor.is_floating_point():
                values = det(tensor.shape, seed + i)
                tensor.copy_(values.abs() + 0.5 if name.endswith("var") else values)


# ---- fusion: class, positional arguments, keyword arguments of the layer and of the batch norm, dtypes of the two -----------------
D, S = torch.float64, torch.float32
LAYERS = [
    ("Conv1d", [4, 6, 3], dict(groups=2), dict(), D, D),
    ("Conv1d", [2, 3, 2], dict(bias=False), dict(affine=False), D, D),
    ("Conv2d", [3, 4, [2, 3]], dict(stride=2, padding=1), dict(eps=0.1), D, D),
    ("Conv2d", [4, 4, 3], dict(groups=4, bias=False), dict(), D, D),
    ("Conv2d", [2, 3, 2], dict(), dict(), S, D),
    ("Conv2d", [2, 3, 2], dict(), dict(), S, S),
    ("Conv3d", [2, 3, 2], dict(dilation=2), dict(), D, D),
    ("ConvTranspose2d", [3, 4, [2, 3]], dict(stride=2), dict(), D, D),
    ("ConvTranspose2d", [3, 4, 2], dict(bias=False), dict(eps=0.1), D, D),
    ("Linear", [3, 5], dict(), dict(), D, D),
    ("Linear", [3, 5], dict(bias=False), dict(eps=0.1), D, D),
    ("Linear", [3, 5], dict(), dict(num_features=1), D, D),
]


def fused(cls, args, kwargs, norm_kwargs, dtype, norm_dtype):
    layer = getattr(nn, cls)(*[tuple(a) if isinstance(a, list) else a for a in args], **kwargs, dtype=dtype).eval()
    features = norm_kwargs.pop("num_features", args[1])
    dims = 1 if cls == "Linear" else int(cls[-2])
    norm = getattr(nn, f"BatchNorm{dims}d")(features, **norm_kwargs, dtype=norm_dtype).eval()
    fill(layer, 1)
    fill(norm, 11)
    layer.weight.requires_grad = False
    if cls == "Linear":
        result = fuse_linear_bn_eval(layer, norm)
    else:
        result = fuse_conv_bn_eval(layer, norm, transpose="Transpose" in cls)
    return dict(
        cls=cls, args=args, kwargs=kwargs, norm=dict(num_features=features, **norm_kwargs),
        dtypes=[str(t).removeprefix("torch.") for t in (dtype, norm_dtype, result.weight.dtype, result.bias.dtype)],
        requires_grad=[result.weight.requires_grad, result.bias.requires_grad],
        weight=plain(result.weight), bias=plain(result.bias),
    )


def text(call):
    try:
        call()
    except AssertionError as error:
        return str(error)


TEXTS = {
    "conv in training": lambda: fuse_conv_bn_eval(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2).eval()),
    "norm in training": lambda: fuse_linear_bn_eval(nn.Linear(1, 2).eval(), nn.BatchNorm1d(2)),
    "sizes": lambda: fuse_linear_bn_eval(nn.Linear(3, 5).eval(), nn.BatchNorm1d(4).eval()),
    "no statistics": lambda: fuse_conv_bn_eval(nn.Conv2d(1, 2, 3).eval(), nn.BatchNorm2d(2, track_running_stats=False).eval()),
}


# ---- update_bn: batches of several sizes and forms, dropout, a layer in evaluation mode --------------------------------------------
def update_bn():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, momentum=0.3), nn.Dropout(0.25), nn.Flatten(), nn.Linear(12, 4),
                          nn.BatchNorm1d(4, momentum=None), nn.BatchNorm1d(4, track_running_stats=False)).double()
    fill(model)
    model[5].eval()
    x = det([9, 2, 4, 4], 3)
    torch.manual_seed(5)
    swa_utils.update_bn([x[:4], (x[4:7], x), [x[7:]]], model)
    return {name: plain(buffer) for name, buffer in model.named_buffers()}


# ---- AveragedModel: the state after each of some updates ---------------------------------------------------------------------------
AVERAGES = {
    "swa": dict(),
    "ema": dict(multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9)),
    "fast ema": dict(multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.25)),
    "function": dict(avg_fn=lambda averaged, current, count: averaged * count / 8 + current),
    "swa with buffers": dict(use_buffers=True),
    "ema with buffers": dict(multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=True),
}


def averaged(options):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).double()
    fill(model)
    average = swa_utils.AveragedModel(model, **options)
    states = []
    for update in range(4):
        fill(model, 20 + 10 * update)
        model[1].num_batches_tracked += 10
        average.update_parameters(model)
        states.append({name: plain(tensor) for name, tensor in average.state_dict().items()})
    return states


result = dict(
    generated_with=f"torch {torch.__version__}",
    fused=[fused(*case) for case in LAYERS],
    texts={name: text(call) for name, call in TEXTS.items()},
    update_bn=update_bn(),
    averaged={name: averaged(options) for name, options in AVERAGES.items()},
)
pathlib.Path(__file__).with_name("averaging.golden.json").write_text(json.dumps(result))
