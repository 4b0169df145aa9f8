"""Writes nn.golden.json: initial values, dropout masks and printed forms of PyTorch's modules, for test/nn/.

Run: npx tsx test/golden/nn_cases.ts | python test/golden/nn_golden.py   (made with PyTorch 2.13.0)
Arrays are base64 of little-endian values.
"""

import base64
import json
import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F


def raw(tensor):
    return base64.b64encode(tensor.detach().contiguous().numpy().tobytes()).decode()


# Activation layers, which rows of test/cases/unary.ts list.
ACTIVATIONS = json.load(sys.stdin)

# Every layer with random parameters, after manual_seed(7); the draws go on from one parameter to the next.
LAYERS = {
    "Linear": lambda d: nn.Linear(7, 5, dtype=d),
    "Linear no bias": lambda d: nn.Linear(3, 4, bias=False, dtype=d),
    "Conv1d": lambda d: nn.Conv1d(4, 6, 3, groups=2, dtype=d),
    "Conv2d": lambda d: nn.Conv2d(3, 4, (3, 2), dtype=d),
    "Conv3d": lambda d: nn.Conv3d(2, 2, 2, dtype=d),
    "ConvTranspose1d": lambda d: nn.ConvTranspose1d(4, 6, 3, groups=2, dtype=d),
    "ConvTranspose2d": lambda d: nn.ConvTranspose2d(4, 6, 3, groups=2, dtype=d),
    "ConvTranspose3d": lambda d: nn.ConvTranspose3d(2, 3, 2, dtype=d),
    "Bilinear": lambda d: nn.Bilinear(4, 3, 2, dtype=d),
    "Embedding": lambda d: nn.Embedding(6, 5, padding_idx=2, dtype=d),
    "Sequential": lambda d: nn.Sequential(nn.Conv2d(1, 2, 3, dtype=d), nn.BatchNorm2d(2, dtype=d), nn.Linear(4, 3, dtype=d)),
}
INITS = {
    "uniform_": lambda t: nn.init.uniform_(t, -0.5, 2.0),
    "normal_": lambda t: nn.init.normal_(t, 1.0, 0.5),
    "truncNormal_": lambda t: nn.init.trunc_normal_(t, 0.1, 0.7, -1.0, 0.8),
    "constant_": lambda t: nn.init.constant_(t, 0.3),
    "ones_": nn.init.ones_,
    "zeros_": nn.init.zeros_,
    "eye_": nn.init.eye_,
    "orthogonal_": lambda t: nn.init.orthogonal_(t, gain=1.7),
    "xavierUniform_": lambda t: nn.init.xavier_uniform_(t, gain=1.7),
    "xavierNormal_": lambda t: nn.init.xavier_normal_(t),
    "kaimingUniform_": lambda t: nn.init.kaiming_uniform_(t, a=0.2),
    "kaimingUniform_ fan_out relu": lambda t: nn.init.kaiming_uniform_(t, mode="fan_out", nonlinearity="relu"),
    "kaimingNormal_": lambda t: nn.init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"),
    "kaimingNormal_ selu": lambda t: nn.init.kaiming_normal_(t, nonlinearity="selu"),
}
GAINS = [["linear", None], ["conv2d", None], ["conv_transpose3d", None], ["sigmoid", None], ["tanh", None], ["relu", None],
         ["leaky_relu", None], ["leaky_relu", 0.3], ["selu", None]]

PRINTED = {
    "lenet": nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.BatchNorm2d(6), nn.Sigmoid(), nn.AvgPool2d(2, stride=2), nn.Flatten(), nn.Linear(400, 120)
    ),
    "named": nn.ModuleDict({"a": nn.Sequential(nn.ReLU()), "b": nn.Identity()}),
    "list": nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(inplace=True), nn.Sequential(nn.Tanh()), nn.Sequential(nn.Tanh())]),
    "empty": nn.Sequential(),
    "empty list": nn.ModuleList(),
    "Linear": nn.Linear(3, 2, bias=False),
    "Conv1d": nn.Conv1d(4, 6, 3, stride=2, dilation=2, groups=2),
    "Conv2d": nn.Conv2d(1, 6, (3, 5), padding="same", bias=False, padding_mode="reflect"),
    "Conv2d valid": nn.Conv2d(1, 6, 3, padding="valid"),
    "Conv3d": nn.Conv3d(2, 2, 3, padding=(1, 0, 2)),
    "ConvTranspose1d": nn.ConvTranspose1d(4, 6, 3, stride=2, bias=False),
    "ConvTranspose2d": nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1),
    "ConvTranspose3d": nn.ConvTranspose3d(4, 6, (1, 2, 3), dilation=2),
    "LazyLinear": nn.LazyLinear(3),
    "LazyConv1d": nn.LazyConv1d(4, 3),
    "LazyConv2d": nn.LazyConv2d(4, (3, 5), padding="same", bias=False),
    "LazyConv3d": nn.LazyConv3d(4, 3, groups=2),
    "LazyConvTranspose1d": nn.LazyConvTranspose1d(4, 3, stride=2),
    "LazyConvTranspose2d": nn.LazyConvTranspose2d(4, 3, output_padding=1, stride=2),
    "LazyConvTranspose3d": nn.LazyConvTranspose3d(4, 3),
    "Bilinear": nn.Bilinear(3, 4, 2, bias=False),
    "ConstantPad1d": nn.ConstantPad1d(1, 0.25),
    "ConstantPad2d": nn.ConstantPad2d(2, 0.25),
    "ConstantPad3d": nn.ConstantPad3d(3, 0.25),
    "ZeroPad1d": nn.ZeroPad1d(1),
    "ZeroPad2d": nn.ZeroPad2d(2),
    "ZeroPad3d": nn.ZeroPad3d(3),
    "ReflectionPad1d": nn.ReflectionPad1d(1),
    "ReflectionPad2d": nn.ReflectionPad2d(2),
    "ReflectionPad3d": nn.ReflectionPad3d(3),
    "ReplicationPad1d": nn.ReplicationPad1d(1),
    "ReplicationPad2d": nn.ReplicationPad2d(2),
    "ReplicationPad3d": nn.ReplicationPad3d(3),
    "CircularPad1d": nn.CircularPad1d(1),
    "CircularPad2d": nn.CircularPad2d(2),
    "CircularPad3d": nn.CircularPad3d(3),
    "Upsample": nn.Upsample(scale_factor=(1.5, 2), mode="nearest-exact"),
    "Upsample to a size": nn.Upsample((3, 4), mode="bilinear", align_corners=True),
    "PixelShuffle": nn.PixelShuffle(2),
    "PixelUnshuffle": nn.PixelUnshuffle(3),
    "ChannelShuffle": nn.ChannelShuffle(4),
    "UpsamplingNearest2d": nn.UpsamplingNearest2d(3),
    "UpsamplingBilinear2d": nn.UpsamplingBilinear2d(scale_factor=2),
    "MaxPool1d": nn.MaxPool1d(2),
    "MaxPool2d": nn.MaxPool2d((3, 2), stride=2, padding=1, ceil_mode=True),
    "MaxPool3d": nn.MaxPool3d((1, 2, 2), return_indices=True),
    "MaxUnpool1d": nn.MaxUnpool1d(2),
    "MaxUnpool2d": nn.MaxUnpool2d(3, stride=(2, 1), padding=1),
    "MaxUnpool3d": nn.MaxUnpool3d(2),
    "LPPool1d": nn.LPPool1d(2, 3),
    "LPPool2d": nn.LPPool2d(1.5, (2, 3), stride=2, ceil_mode=True),
    "LPPool3d": nn.LPPool3d(2, 2, stride=(1, 2, 1)),
    "AvgPool1d": nn.AvgPool1d(2),
    "AvgPool2d": nn.AvgPool2d((2, 3), padding=1),
    "AvgPool3d": nn.AvgPool3d(2, stride=1),
    "AdaptiveAvgPool3d": nn.AdaptiveAvgPool3d((1, None, 2)),
    "AdaptiveMaxPool3d": nn.AdaptiveMaxPool3d(2),
    "AdaptiveAvgPool1d": nn.AdaptiveAvgPool1d(3),
    "AdaptiveAvgPool2d": nn.AdaptiveAvgPool2d((1, 1)),
    "AdaptiveMaxPool1d": nn.AdaptiveMaxPool1d(3),
    "AdaptiveMaxPool2d": nn.AdaptiveMaxPool2d((None, 7)),
    "Dropout": nn.Dropout(0.25, inplace=True),
    "Dropout2d": nn.Dropout2d(),
    "Dropout1d": nn.Dropout1d(0.1),
    "Dropout3d": nn.Dropout3d(0.75, inplace=True),
    "AlphaDropout": nn.AlphaDropout(0.2),
    "FeatureAlphaDropout": nn.FeatureAlphaDropout(),
    "PReLU": nn.PReLU(3),
    "Unfold": nn.Unfold((2, 3), padding=1),
    "Fold": nn.Fold((4, 5), 2, dilation=2, stride=(1, 2)),
    "RReLU": nn.RReLU(inplace=True),
    "GLU": nn.GLU(1),
    "Softmin": nn.Softmin(dim=1),
    "Softmax2d": nn.Softmax2d(),
    "Embedding": nn.Embedding(10, 3, padding_idx=-1),
    "EmbeddingBag": nn.EmbeddingBag(10, 3, padding_idx=-1, mode="sum", max_norm=1.0, scale_grad_by_freq=True),
    "Flatten": nn.Flatten(2),
    "Unflatten": nn.Unflatten(1, (2, 5)),
    "Identity": nn.Identity(54, unused=1),
    **{name: eval(text) for name, text in ACTIVATIONS["printed"].items()},
    "ParameterList": nn.Sequential(nn.ParameterList([torch.zeros(2, 3), torch.zeros([], dtype=torch.float64)])),
    "ParameterList of one": nn.ParameterList([torch.zeros(4)]),
    "ParameterDict": nn.ParameterDict({"b": torch.zeros(2, 3), "a": torch.zeros(1, dtype=torch.float64)}),
    "empty ParameterDict": nn.ParameterDict(),
    "Threshold": nn.Threshold(0.5, -2.0, inplace=True),
    "Softmax": nn.Softmax(dim=1),
    "LogSoftmax": nn.LogSoftmax(dim=-1),
    "BatchNorm1d": nn.BatchNorm1d(3, eps=0.001, momentum=None),
    "BatchNorm2d": nn.BatchNorm2d(3),
    "BatchNorm2d no bias": nn.BatchNorm2d(3, bias=False),
    "BatchNorm3d": nn.BatchNorm3d(3, eps=1e-17, momentum=1.0, affine=False, track_running_stats=False),
    "CrossEntropyLoss": nn.CrossEntropyLoss(),
    "NLLLoss": nn.NLLLoss(),
    "MSELoss": nn.MSELoss(),
    "L1Loss": nn.L1Loss(),
    "SmoothL1Loss": nn.SmoothL1Loss(),
    "BCEWithLogitsLoss": nn.BCEWithLogitsLoss(),
    "CTCLoss": nn.CTCLoss(),
    "HuberLoss": nn.HuberLoss(),
    "SoftMarginLoss": nn.SoftMarginLoss(),
    "BCELoss": nn.BCELoss(),
    "KLDivLoss": nn.KLDivLoss(),
    "PoissonNLLLoss": nn.PoissonNLLLoss(),
    "GaussianNLLLoss": nn.GaussianNLLLoss(),
    "MultiMarginLoss": nn.MultiMarginLoss(),
    "MultiLabelMarginLoss": nn.MultiLabelMarginLoss(),
    "MultiLabelSoftMarginLoss": nn.MultiLabelSoftMarginLoss(),
    "MarginRankingLoss": nn.MarginRankingLoss(),
    "HingeEmbeddingLoss": nn.HingeEmbeddingLoss(),
    "CosineEmbeddingLoss": nn.CosineEmbeddingLoss(),
    "TripletMarginLoss": nn.TripletMarginLoss(),
    "TripletMarginWithDistanceLoss": nn.TripletMarginWithDistanceLoss(),
    "PairwiseDistance": nn.PairwiseDistance(),
    "CosineSimilarity": nn.CosineSimilarity(),
}


def dropout_case(name, shape, dtype, p, channels_last=False):
    torch.manual_seed(3)
    x = torch.ones(shape, dtype=dtype)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    y = getattr(F, name)(x, p, True)
    after = torch.rand(1)
    return {"fn": name, "shape": shape, "dtype": str(dtype)[6:], "p": p, "channelsLast": channels_last, "y": raw(y), "after": raw(after)}


def rrelu_case(shape, dtype, lower, upper, channels_last=False):
    x = rule(shape, 3).to(dtype).contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    x.requires_grad_()
    torch.manual_seed(3)
    y = F.rrelu(x, lower, upper, training=True)
    after = torch.rand(1)
    y.sum().backward()
    return {"shape": shape, "dtype": str(dtype)[6:], "lower": lower, "upper": upper, "channelsLast": channels_last,
            "x": raw(x), "y": raw(y), "dx": raw(x.grad), "after": raw(after)}


def circumstances():
    """Error texts of constructors and calls, by name."""
    found = {}

    def record(name, make):
        try:
            make()
            found[name] = None
        except Exception as error:  # noqa: BLE001 - the text is what is recorded
            found[name] = f"{type(error).__name__}: {error}"

    record("groups 0", lambda: nn.Conv2d(4, 4, 3, groups=0))
    record("groups in", lambda: nn.Conv2d(3, 4, 3, groups=2))
    record("groups out", lambda: nn.Conv2d(4, 3, 3, groups=2))
    record("same strided", lambda: nn.Conv2d(1, 1, 3, padding="same", stride=2))
    record("transpose padding mode", lambda: nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect"))
    record("padding idx", lambda: nn.Embedding(3, 2, padding_idx=3))
    record("dropout p", lambda: nn.Dropout(1.5))
    record("hardtanh", lambda: nn.Hardtanh(1.0, 1.0))
    record("list index", lambda: nn.ModuleList([nn.ReLU()])[1])
    record("dict key", lambda: nn.ModuleDict({"a": nn.ReLU()}).pop("b"))
    record("fan", lambda: nn.init.kaiming_uniform_(torch.empty(3)))
    record("mode", lambda: nn.init.kaiming_uniform_(torch.empty(3, 3), mode="fan"))
    record("gain", lambda: nn.init.calculate_gain("cosine"))
    record("eye", lambda: nn.init.eye_(torch.empty(3)))
    record("negative features", lambda: nn.BatchNorm2d(-1))
    return found


def rule(shape, seed, scale=0.5):
    n = torch.Size(shape).numel()
    return torch.tensor([(((i * 37 + seed * 97) % 101) / 17 - 3) * scale for i in range(n)], dtype=torch.float64).reshape(shape)


# Every layer's forward and backward in float64, with parameters drawn after manual_seed(7): name, layer, input's shape.
d = torch.float64
FORWARDS = [
    ["Linear", lambda: nn.Linear(4, 3, dtype=d), [2, 5, 4]],
    ["Conv1d", lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2, dtype=d), [2, 4, 9]],
    ["Conv1d circular", lambda: nn.Conv1d(2, 3, 3, padding=2, padding_mode="circular", dtype=d), [2, 2, 5]],
    ["Conv2d", lambda: nn.Conv2d(3, 4, (3, 2), stride=(1, 2), padding=(0, 1), dilation=(2, 1), dtype=d), [2, 3, 7, 6]],
    ["Conv2d same", lambda: nn.Conv2d(2, 3, (4, 3), padding="same", dtype=d), [2, 2, 5, 6]],
    ["Conv2d valid", lambda: nn.Conv2d(2, 3, 3, padding="valid", bias=False, dtype=d), [2, 5, 6]],
    ["Conv2d reflect", lambda: nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="reflect", dtype=d), [2, 2, 4, 5]],
    ["Conv2d replicate same", lambda: nn.Conv2d(2, 3, (2, 3), padding="same", padding_mode="replicate", dtype=d), [1, 2, 4, 4]],
    ["Conv3d", lambda: nn.Conv3d(2, 4, 2, padding=1, groups=2, dtype=d), [1, 2, 3, 4, 3]],
    ["ConvTranspose2d", lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, dtype=d), [2, 4, 3, 4]],
    ["ConvTranspose1d", lambda: nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, dtype=d), [2, 4, 5]],
    ["ConvTranspose3d", lambda: nn.ConvTranspose3d(2, 3, (1, 2, 3), stride=(1, 2, 2), padding=(0, 1, 1), dtype=d), [1, 2, 2, 3, 4]],
    ["LazyLinear", lambda: nn.LazyLinear(3, dtype=d), [2, 5, 4]],
    ["LazyConv1d", lambda: nn.LazyConv1d(6, 3, stride=2, padding=1, groups=2, dtype=d), [2, 4, 9]],
    ["LazyConv2d", lambda: nn.LazyConv2d(4, 3, bias=False, dtype=d), [3, 7, 6]],
    ["LazyConv3d", lambda: nn.LazyConv3d(4, 2, padding=1, dtype=d), [1, 2, 3, 4, 3]],
    ["LazyConvTranspose1d", lambda: nn.LazyConvTranspose1d(6, 3, stride=2, groups=2, dtype=d), [2, 4, 5]],
    ["LazyConvTranspose2d", lambda: nn.LazyConvTranspose2d(3, 2, dtype=d), [2, 4, 3, 4]],
    ["LazyConvTranspose3d", lambda: nn.LazyConvTranspose3d(3, 2, bias=False, dtype=d), [1, 2, 2, 3, 4]],
    ["ConstantPad1d", lambda: nn.ConstantPad1d((3, 1), -1.5), [2, 3, 5]],
    ["ConstantPad2d", lambda: nn.ConstantPad2d((2, 1, 0, 3), -1.5), [2, 3, 5, 4]],
    ["ConstantPad3d", lambda: nn.ConstantPad3d((1, 0, 2, 1, 1, 2), -1.5), [2, 2, 3, 4, 3]],
    ["ZeroPad1d", lambda: nn.ZeroPad1d((3, 1)), [2, 3, 5]],
    ["ZeroPad2d", lambda: nn.ZeroPad2d((2, 1, 0, 3)), [2, 3, 5, 4]],
    ["ZeroPad3d", lambda: nn.ZeroPad3d((1, 0, 2, 1, 1, 2)), [2, 2, 3, 4, 3]],
    ["ReflectionPad1d", lambda: nn.ReflectionPad1d((3, 1)), [2, 3, 5]],
    ["ReflectionPad2d", lambda: nn.ReflectionPad2d((2, 1, 0, 3)), [2, 3, 5, 4]],
    ["ReflectionPad3d", lambda: nn.ReflectionPad3d((1, 0, 2, 1, 1, 2)), [2, 2, 3, 4, 3]],
    ["ReplicationPad1d", lambda: nn.ReplicationPad1d((3, 1)), [2, 3, 5]],
    ["ReplicationPad2d", lambda: nn.ReplicationPad2d((2, 1, 0, 3)), [2, 3, 5, 4]],
    ["ReplicationPad3d", lambda: nn.ReplicationPad3d((1, 0, 2, 1, 1, 2)), [2, 2, 3, 4, 3]],
    ["CircularPad1d", lambda: nn.CircularPad1d((3, 1)), [2, 3, 5]],
    ["CircularPad2d", lambda: nn.CircularPad2d((2, 1, 0, 3)), [2, 3, 5, 4]],
    ["CircularPad3d", lambda: nn.CircularPad3d((1, 0, 2, 1, 1, 2)), [2, 2, 3, 4, 3]],
    ["Upsample", lambda: nn.Upsample(scale_factor=(1.5, 2.3), mode="bicubic"), [2, 3, 5, 4]],
    ["Upsample of one dimension", lambda: nn.Upsample(7, mode="linear", align_corners=True), [2, 3, 5]],
    ["Upsample of three", lambda: nn.Upsample(scale_factor=(2, 0.7, 1.3), mode="trilinear", recompute_scale_factor=True), [2, 2, 3, 4, 3]],
    ["PixelShuffle", lambda: nn.PixelShuffle(2), [2, 8, 3, 2]],
    ["PixelUnshuffle", lambda: nn.PixelUnshuffle(2), [2, 3, 4, 6]],
    ["ChannelShuffle", lambda: nn.ChannelShuffle(3), [2, 6, 3, 2]],
    ["UpsamplingNearest2d", lambda: nn.UpsamplingNearest2d(scale_factor=2), [2, 3, 5, 4]],
    ["UpsamplingBilinear2d", lambda: nn.UpsamplingBilinear2d((7, 3)), [2, 3, 5, 4]],
    ["MaxPool1d", lambda: nn.MaxPool1d(3, stride=2, padding=1), [2, 3, 8]],
    ["MaxPool2d", lambda: nn.MaxPool2d(2, stride=2, ceil_mode=True), [2, 3, 5, 7]],
    ["MaxPool3d", lambda: nn.MaxPool3d((1, 2, 3), stride=2, padding=(0, 1, 1)), [2, 2, 3, 5, 7]],
    ["LPPool1d", lambda: nn.LPPool1d(2, 3, stride=2), [2, 3, 8]],
    ["LPPool2d", lambda: nn.LPPool2d(4, (2, 3), ceil_mode=True), [2, 3, 5, 7]],
    ["LPPool3d", lambda: nn.LPPool3d(2, 2), [2, 2, 3, 4, 5]],
    ["AvgPool3d", lambda: nn.AvgPool3d(2, stride=(1, 2, 1), padding=1, count_include_pad=False), [2, 2, 3, 5, 4]],
    ["AdaptiveAvgPool3d", lambda: nn.AdaptiveAvgPool3d((2, None, 3)), [2, 2, 3, 4, 5]],
    ["AdaptiveMaxPool3d", lambda: nn.AdaptiveMaxPool3d((2, 1, 3)), [2, 2, 3, 4, 5]],
    ["AvgPool1d", lambda: nn.AvgPool1d(3, padding=1, count_include_pad=False), [2, 3, 8]],
    ["AvgPool2d", lambda: nn.AvgPool2d((2, 3), stride=2, padding=1, divisor_override=5), [2, 3, 5, 7]],
    ["AdaptiveAvgPool1d", lambda: nn.AdaptiveAvgPool1d(3), [2, 3, 8]],
    ["AdaptiveAvgPool2d", lambda: nn.AdaptiveAvgPool2d((None, 2)), [2, 3, 4, 5]],
    ["AdaptiveMaxPool1d", lambda: nn.AdaptiveMaxPool1d(3), [2, 3, 8]],
    ["AdaptiveMaxPool2d", lambda: nn.AdaptiveMaxPool2d(2), [2, 3, 4, 5]],
    ["Flatten", lambda: nn.Flatten(1, 2), [2, 3, 4, 5]],
    ["Unflatten", lambda: nn.Unflatten(1, (2, -1)), [2, 6, 3]],
    *[[name, lambda text=text: eval(text), [3, 7]] for name, text in ACTIVATIONS["forward"].items()],
    ["Threshold", lambda: nn.Threshold(0.5, -2.0), [3, 7]],
    ["Softmax", lambda: nn.Softmax(dim=1), [3, 7]],
    ["LogSoftmax", lambda: nn.LogSoftmax(dim=0), [3, 7]],
    ["Softmin", lambda: nn.Softmin(dim=1), [3, 7]],
    ["Softmax2d", lambda: nn.Softmax2d(), [2, 3, 4, 5]],
    ["GLU", lambda: nn.GLU(1), [3, 6, 2]],
    ["Unfold", lambda: nn.Unfold((2, 3), padding=(0, 1), stride=2, dilation=(2, 1)), [2, 3, 5, 6]],
    ["Fold", lambda: nn.Fold((4, 5), (2, 3)), [2, 12, 9]],
    ["PReLU", lambda: nn.PReLU(dtype=d), [3, 7]],
    ["PReLU of channels", lambda: nn.PReLU(3, init=-0.5, dtype=d), [2, 3, 4, 5]],
    ["RReLU", lambda: nn.RReLU(0.1, 0.5), [3, 7]],
]

def forward_case(make, shape):
    torch.manual_seed(7)
    module = make()
    x = rule(shape, 1).requires_grad_()
    y = module(x)
    y.backward(rule(y.shape, 2))
    return {"input": shape, "shape": list(y.shape), "y": raw(y), "dx": raw(x.grad), "parameters": {n: raw(p.grad) for n, p in module.named_parameters()}}


def loss_case(make, target, shape=(4, 3)):
    x = rule(shape, 1).requires_grad_()
    y = make(x, target)
    y.sum().backward()
    return {"y": raw(y), "dx": raw(x.grad)}


CLASSES = torch.tensor([0, 2, 1, 2])
WEIGHT = torch.tensor([0.5, 2.0, 1.5], dtype=d)
SHARES = torch.sigmoid(rule((4, 3), 5))
SIGNS = torch.sign(rule((4, 3), 6) + 0.01)
LOSSES = {
    "CrossEntropyLoss": lambda x: nn.CrossEntropyLoss()(x, CLASSES),
    "CrossEntropyLoss options": lambda x: nn.CrossEntropyLoss(weight=WEIGHT, ignore_index=1, label_smoothing=0.1)(x, CLASSES),
    "CrossEntropyLoss shares": lambda x: nn.CrossEntropyLoss(weight=WEIGHT, reduction="sum")(x, SHARES),
    "NLLLoss": lambda x: nn.NLLLoss(weight=WEIGHT, reduction="none")(torch.log_softmax(x, 1), CLASSES),
    "MSELoss": lambda x: nn.MSELoss()(x, SHARES),
    "L1Loss": lambda x: nn.L1Loss(reduction="sum")(x, SHARES),
    "SmoothL1Loss": lambda x: nn.SmoothL1Loss(beta=0.5)(x, SHARES),
    "BCEWithLogitsLoss": lambda x: nn.BCEWithLogitsLoss(weight=WEIGHT, pos_weight=WEIGHT + 1)(x, SHARES),
    "CTCLoss": lambda x: nn.CTCLoss(blank=1)(x.log_softmax(1), torch.tensor([2, 0]), (4,), (2,)),
    "HuberLoss": lambda x: nn.HuberLoss(delta=0.5)(x, SHARES),
    "SoftMarginLoss": lambda x: nn.SoftMarginLoss()(x, SIGNS),
    "BCELoss": lambda x: nn.BCELoss(weight=WEIGHT)(x.sigmoid(), SHARES),
    "KLDivLoss": lambda x: nn.KLDivLoss(reduction="batchmean")(x.log_softmax(1), SHARES),
    "KLDivLoss logTarget": lambda x: nn.KLDivLoss(reduction="sum", log_target=True)(x.log_softmax(1), SHARES.log()),
    "PoissonNLLLoss": lambda x: nn.PoissonNLLLoss(log_input=False, full=True, eps=0.5)(x * x, SHARES * 5),
    "GaussianNLLLoss": lambda x: nn.GaussianNLLLoss(full=True, eps=0.3)(x, SHARES, SHARES * 0.7),
    "MultiMarginLoss": lambda x: nn.MultiMarginLoss(p=2, margin=0.5, weight=WEIGHT)(x, CLASSES),
    "MultiLabelMarginLoss": lambda x: nn.MultiLabelMarginLoss(reduction="sum")(x, torch.tensor([[0, 2, -1], [1, -1, 0], [-1, 0, 0], [2, 1, 0]])),
    "MultiLabelSoftMarginLoss": lambda x: nn.MultiLabelSoftMarginLoss(weight=WEIGHT)(x, SHARES),
    "MarginRankingLoss": lambda x: nn.MarginRankingLoss(margin=0.25)(x, SHARES, SIGNS),
    "HingeEmbeddingLoss": lambda x: nn.HingeEmbeddingLoss(margin=0.5, reduction="none")(x, SIGNS),
    "CosineEmbeddingLoss": lambda x: nn.CosineEmbeddingLoss(margin=0.1)(x, SHARES, SIGNS[:, 0]),
    "TripletMarginLoss": lambda x: nn.TripletMarginLoss(margin=0.5, p=3, eps=1e-3, swap=True)(x, SHARES, SIGNS),
    "TripletMarginWithDistanceLoss": lambda x: nn.TripletMarginWithDistanceLoss(margin=2.0, swap=True)(x, SHARES, SIGNS),
    "TripletMarginWithDistanceLoss cosine": lambda x: nn.TripletMarginWithDistanceLoss(distance_function=nn.CosineSimilarity())(x, SHARES, SIGNS),
    "PairwiseDistance": lambda x: nn.PairwiseDistance(p=1, keepdim=True)(x, SHARES),
    "CosineSimilarity": lambda x: nn.CosineSimilarity(dim=0, eps=3)(x, SHARES),
}

out = {"layers": {}, "inits": {}, "gains": [], "printed": {}, "dropout": [], "errors": circumstances()}
for name, make in LAYERS.items():
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(7)
        state = make(dtype).state_dict()
        out["layers"][f"{name} {str(dtype)[6:]}"] = {key: raw(value) for key, value in state.items() if value.is_floating_point()}
for name, fn in INITS.items():
    for dtype in (torch.float32, torch.float64):
        for shape in ([6, 5],) if name == "eye_" else ([6, 5], [3, 2, 2, 2]):
            torch.manual_seed(11)
            out["inits"][f"{name} {shape} {str(dtype)[6:]}"] = raw(fn(torch.empty(shape, dtype=dtype)))
for nonlinearity, param in GAINS:
    out["gains"].append([nonlinearity, param, nn.init.calculate_gain(nonlinearity, param)])
out["printed"] = {name: str(module) for name, module in PRINTED.items()}
out["dropout"] = [
    dropout_case("dropout", [3, 7], torch.float32, 0.3),
    dropout_case("dropout", [2, 3, 4, 5], torch.float64, 0.5),
    dropout_case("dropout", [2, 3, 4, 5], torch.float32, 0.5, True),
    dropout_case("dropout", [4], torch.float32, 1.0),
    dropout_case("dropout2d", [4, 6, 2, 2], torch.float32, 0.4),
    dropout_case("dropout2d", [4, 6, 2, 2], torch.float32, 0.4, True),
    dropout_case("dropout2d", [4, 6, 3], torch.float32, 0.4),
    dropout_case("dropout1d", [6, 5], torch.float32, 0.4),
    dropout_case("dropout1d", [4, 6, 3], torch.float64, 0.4),
    dropout_case("dropout3d", [6, 2, 3, 2], torch.float32, 0.4),
    dropout_case("dropout3d", [3, 6, 2, 3, 2], torch.float64, 0.4),
    dropout_case("alpha_dropout", [3, 7], torch.float32, 0.3),
    dropout_case("alpha_dropout", [2, 3, 4, 5], torch.float64, 0.5, True),
    dropout_case("alpha_dropout", [4], torch.float32, 1.0),
    dropout_case("feature_alpha_dropout", [4, 6, 2, 2], torch.float32, 0.4, True),
    dropout_case("feature_alpha_dropout", [4, 6, 3], torch.float64, 0.4),
]
out["rrelu"] = [
    rrelu_case([3, 7], torch.float32, 0.125, 1 / 3),
    rrelu_case([2, 3, 4, 5], torch.float64, -0.3, 0.7),
    rrelu_case([2, 3, 4, 5], torch.float32, 0.1, 0.3, True),
    rrelu_case([5], torch.float64, 0.25, 0.25),
]
out["forwards"] = {name: forward_case(make, shape) for name, make, shape in FORWARDS}
out["losses"] = {name: loss_case(lambda x, _: fn(x), None) for name, fn in LOSSES.items()}
torch.manual_seed(7)
embedding = nn.Embedding(5, 3, padding_idx=1, dtype=d)
y = embedding(torch.tensor([[0, 1], [4, 0]]))
y.backward(rule(y.shape, 2))
out["embedding"] = {"y": raw(y), "dweight": raw(embedding.weight.grad)}
path = pathlib.Path(__file__).with_name("nn.golden.json")
path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
