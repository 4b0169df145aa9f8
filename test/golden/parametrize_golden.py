"""Writes parametrize.golden.json: what PyTorch 2.13's weight_norm and spectral_norm do, for test/nn/.

Run: python test/golden/parametrize_golden.py   (made with PyTorch 2.13.0)
Inputs follow the rule of norm_golden.json: x_i = ((i*37 + seed*97) mod 101)/17 - 3, row-major. Every module is made after manual_seed(11).
"""

import json
import pathlib

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

torch.set_num_threads(1)
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def det(shape, seed, dtype):
    count = 1
    for size in shape:
        count *= size
    values = [((i * 37 + seed * 97) % 101) / 17 - 3 for i in range(count)]
    return torch.tensor(values, dtype=torch.float64).reshape(shape).to(dtype)


def plain(tensor):
    return {"shape": list(tensor.shape), "data": tensor.detach().double().flatten().tolist()}


MODULES = {
    "Linear": (lambda d: nn.Linear(4, 3, dtype=d), [2, 4]),
    "Conv2d": (lambda d: nn.Conv2d(2, 3, (2, 3), dtype=d), [2, 2, 4, 5]),
    "ConvTranspose2d": (lambda d: nn.ConvTranspose2d(3, 2, 2, dtype=d), [2, 3, 3, 2]),
    "BatchNorm2d": (lambda d: nn.BatchNorm2d(3, dtype=d), [2, 3, 4, 2]),
}
WEIGHT = [("Linear", dict()), ("Linear", dict(dim=1)), ("Linear", dict(dim=None)), ("Conv2d", dict()), ("Conv2d", dict(dim=2)),
          ("ConvTranspose2d", dict(dim=1)), ("BatchNorm2d", dict()), ("BatchNorm2d", dict(dim=None))]
SPECTRAL = [("Linear", dict()), ("Linear", dict(n_power_iterations=3)), ("Linear", dict(dim=1)), ("Linear", dict(eps=0.5)), ("Conv2d", dict()),
            ("ConvTranspose2d", dict()), ("BatchNorm2d", dict())]


def walk(kind, apply, name, kwargs, dtype):
    make, shape = MODULES[name]
    torch.manual_seed(11)
    module = make(DTYPES[dtype])
    apply(module, **kwargs)
    case = {"kind": kind, "module": name, "kwargs": kwargs, "dtype": dtype, "printed": str(module), "shape": shape}
    case["before"] = {key: plain(value) for key, value in module.state_dict().items()}
    x = det(shape, 1, DTYPES[dtype]).requires_grad_()
    # Two readings in one graph, and one in evaluation.
    first, second = module(x), module(x)
    y = first + 2 * second
    y.backward(det(y.shape, 2, DTYPES[dtype]))
    case["y"] = plain(y)
    case["dx"] = plain(x.grad)
    case["grads"] = {key: plain(value.grad) for key, value in module.named_parameters()}
    case["after"] = {key: plain(value) for key, value in module.state_dict().items()}
    case["evaluated"] = plain(module.eval()(x))
    value = det(module.weight.shape, 3, DTYPES[dtype])
    with torch.no_grad():
        module.weight = value
    case["assigned"] = {key: plain(value) for key, value in module.state_dict().items() if "original" in key}
    case["weight"] = plain(module.weight)
    parametrize.remove_parametrizations(module, "weight")
    case["removed"] = {key: plain(value) for key, value in module.state_dict().items()}
    case["removedPrinted"] = str(module)
    return case


class Double(nn.Module):
    def forward(self, x):
        return 2 * x

    def right_inverse(self, y):
        return y / 2


class Shift(nn.Module):
    def forward(self, x):
        return x + 1


def chain():
    module = nn.Linear(2, 1, dtype=torch.float64)
    parametrize.register_parametrization(module, "weight", Double())
    parametrize.register_parametrization(module, "weight", Shift())
    parametrize.register_parametrization(module, "bias", Double())
    return {"printed": str(module), "keys": list(module.state_dict()), "parameters": [name for name, _ in module.named_parameters()]}


cases = [walk("weight", parametrizations.weight_norm, name, kwargs, dtype) for name, kwargs in WEIGHT for dtype in DTYPES]
cases += [walk("spectral", parametrizations.spectral_norm, name, kwargs, dtype) for name, kwargs in SPECTRAL for dtype in DTYPES]
path = pathlib.Path(__file__).with_name("parametrize.golden.json")
path.write_text(json.dumps({"cases": cases, "chain": chain()}))
