"""Writes models.golden.json: initial states, outputs and gradients of torchvision's models, for test/models/; and
stochastic_depth.golden.json, for test/nn/dropout.test.ts.

Run: python test/golden/models_golden.py   (made with PyTorch 2.14.1 and torchvision 0.29.1)

Per model, built after manual_seed(0): every entry of its state dict as "key shape start", where start is "=v" for a constant and else the
beginning of the SHA-256 of its float32 bytes; and, computed in float64 from those weights and rule inputs, the output in training after
manual_seed(1), gradients of that, the running statistics it leaves, and the output in evaluation after it. `error` is how far PyTorch's
own float32 outputs are from these.
"""

import copy
import hashlib
import json
import math
import pathlib
import sys

import torch
import torch.nn.functional as F
from golden_rule import det
from torch import nn
from torchvision import models
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops import stochastic_depth


class CifarBlock(nn.Module):
    """He et al. 2016, section 4.2, shortcut A: every second pixel, and zeros for the new channels."""

    def __init__(self, inside, outside, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.stride, self.new = stride, outside - inside

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        short = x[:, :, :: self.stride, :: self.stride]
        return F.relu(y + F.pad(short, (0, 0, 0, 0, self.new // 2, self.new // 2)))


class CifarResNet(nn.Module):
    def __init__(self, blocks, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inside = 16
        for i, outside in enumerate([16, 32, 64]):
            layers = []
            for j in range(blocks):
                layers.append(CifarBlock(inside, outside, 2 if i > 0 and j == 0 else 1))
                inside = outside
            self.add_module(f"layer{i + 1}", nn.Sequential(*layers))
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(F.avg_pool2d(x, x.shape[3]).flatten(1))


# PyTorch's gradient of the hard sigmoid has 1/6 as float32 even for float64, which the float64 results here must not have.
nn.Hardsigmoid.forward = lambda self, x: F.relu6(x + 3) / 6

MODELS = {
    "resnet18": models.resnet18,
    "resnet34": models.resnet34,
    "resnet50": models.resnet50,
    "resnet101": models.resnet101,
    "resnext50_32x4d": models.resnext50_32x4d,
    "ResNet, GroupNorm": lambda: ResNet(BasicBlock, [1, 1, 1, 1], 7, norm_layer=lambda channels: nn.GroupNorm(8, channels)),
    "ResNet, zero residual": lambda: ResNet(BasicBlock, [1, 1, 1, 1], 7, zero_init_residual=True),
    "ResNet, dilated": lambda: ResNet(
        Bottleneck, [1, 1, 2, 1], 7, groups=4, width_per_group=8, replace_stride_with_dilation=[False, True, True]
    ),
    "vgg11": models.vgg11,
    "vgg16": models.vgg16,
    "vgg11Bn": models.vgg11_bn,
    "vgg16Bn": models.vgg16_bn,
    "mobilenetV2": models.mobilenet_v2,
    "mobilenetV2, half as wide": lambda: models.mobilenet_v2(width_mult=0.5, dropout=0.6, num_classes=7),
    "mobilenetV3Large": models.mobilenet_v3_large,
    "mobilenetV3Small": models.mobilenet_v3_small,
    "mobilenetV3Small, wider": lambda: models.mobilenet_v3_small(width_mult=1.3, dropout=0.6, num_classes=7),
    "efficientnetB0": models.efficientnet_b0,
    "efficientnetB0, more dropped": lambda: models.efficientnet_b0(stochastic_depth_prob=0.7, dropout=0.6, num_classes=7),
    "densenet121": models.densenet121,
    "DenseNet, with dropout": lambda: models.DenseNet(block_config=(2, 3, 2, 2), drop_rate=0.3, num_classes=7),
    "cifarResnet20": lambda: CifarResNet(3),
    "cifarResnet56": lambda: CifarResNet(9),
}


def entry(key, value):
    shape = "x".join(map(str, value.shape)) or "scalar"
    flat = value.flatten()
    if bool((flat == flat[0]).all()):
        return f"{key} {shape} ={flat[0].item():g}"
    return f"{key} {shape} {hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()[:12]}"


def digest(x):
    """Root mean square, mean product with the rule's numbers, and 12 elements from first to last."""
    flat = x.detach().flatten()
    at = [i * (flat.numel() - 1) // 11 for i in range(12)]
    return {
        "shape": list(x.shape),
        "rms": math.sqrt((flat * flat).mean().item()),
        "product": (flat * det(flat.shape, 3)).mean().item(),
        "elements": [flat[i].item() for i in at],
    }


def run(model, x):
    """Output in training with its gradients, and then that in evaluation."""
    torch.manual_seed(1)
    trained = model.train()(x)
    trained.backward(det(trained.shape, 2).to(x.dtype))
    with torch.no_grad():
        return trained.detach(), model.eval()(x)


def distance(actual, expected):
    """Largest difference, in units of the expected values' root mean square."""
    return ((actual.double() - expected).abs().max() / expected.square().mean().sqrt()).item()


def golden(name, make):
    torch.manual_seed(0)
    model = make()
    out = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "state": [entry(key, value) for key, value in model.state_dict().items()],
    }
    size = 32 if name.startswith("cifar") else 64
    x = det([2, 3, size, size], 1)
    exact = copy.deepcopy(model).double()
    trained, evaluated = run(exact, x)
    parameters = dict(exact.named_parameters())
    weights = [key for key, p in parameters.items() if p.dim() > 1]
    norms = [key for key, module in exact.named_modules() if isinstance(module, nn.BatchNorm2d)]
    buffers = dict(exact.named_buffers())
    statistics = [f"{norm}.{kind}" for norm in norms[:1] + norms[-1:] for kind in ("running_mean", "running_var")]
    single = run(model, x.float())
    out |= {
        "trained": digest(trained),
        "evaluated": digest(evaluated),
        "gradients": {key: digest(parameters[key].grad) for key in (weights[0], weights[-1])},
        "statistics": {key: digest(buffers[key]) for key in statistics},
        "error": {"trained": distance(single[0], trained), "evaluated": distance(single[1], evaluated)},
    }
    print(name, out["error"], file=sys.stderr)
    return out


def skipped(shape, dtype, p, mode):
    torch.manual_seed(3)
    y = stochastic_depth(torch.ones(shape, dtype=dtype), p, mode)
    after = torch.rand(1)
    return {"shape": shape, "dtype": str(dtype)[6:], "p": p, "mode": mode, "y": y.flatten().tolist(), "after": after.item()}


def write(name, text):
    pathlib.Path(__file__).with_name(name).write_text(text + "\n")


rows = [f"{json.dumps(name)}: {json.dumps(golden(name, make))}" for name, make in MODELS.items()]
write("models.golden.json", "{\n" + ",\n".join(rows) + "\n}")
cases = [
    skipped([6, 2], torch.float32, 0.3, "row"),
    skipped([6, 2, 1, 2], torch.float64, 0.3, "row"),
    skipped([3, 2], torch.float32, 0.4, "batch"),
    skipped([3, 2], torch.float32, 1.0, "row"),
]
write("stochastic_depth.golden.json", json.dumps(cases))
