"""Writes image_transforms.golden.json.gz: images that torchvision 0.29 (PyTorch 2.14) has resized, cropped and prepared for its networks.

Run: python test/golden/image_transforms_golden.py   (needs torchvision)
Pixels of the images come from a rule, which test/data/transforms.test.ts has too. Bytes are computed by `torchvision.transforms.functional`, in float32 with rounding,
which is what the weights' own transforms() call; `native` are those of transforms.v2, for which PyTorch has a kernel of whole
numbers on AVX2.
"""

import base64
import gzip
import json
import pathlib

import torch
from torchvision.models import get_model_weights
from torchvision.transforms import _presets, functional as F, v2
from torchvision.transforms.functional import InterpolationMode

from image_transforms_rule import image

HERE = pathlib.Path(__file__).parent
MODES = {"nearest": "nearest", "nearestExact": "nearest-exact", "bilinear": "bilinear", "bicubic": "bicubic"}


def packed(x):
    return {"shape": list(x.shape), "data": base64.b64encode(x.contiguous().numpy().tobytes()).decode()}


def resize_cases():
    sizes = [
        ([3, 37, 53], 16, None),
        ([3, 53, 37], 24, 31),
        ([1, 30, 41], None, 20),
        ([3, 20, 31], [33, 45], None),
        ([2, 40, 9], [7, 9], None),
        ([1, 5, 3], [11, 2], None),
        ([1, 1, 1], [4, 3], None),
        ([1, 64, 48], [64, 13], None),
        ([3, 16, 16], 16, None),
    ]
    for shape, size, max_size in sizes:
        for name, mode in MODES.items():
            for antialias in [True, False] if name in ("bilinear", "bicubic") else [True]:
                for dtype in ["uint8", "float32"] if shape[0] < 3 else ["uint8"]:
                    x = image(shape, getattr(torch, dtype))
                    given = [size] if isinstance(size, int) else size
                    small = F.resize(x, F._compute_resized_output_size(x.shape[1:], given, max_size, True), InterpolationMode(mode), antialias=antialias)
                    case = {"shape": shape, "dtype": dtype, "size": size, "maxSize": max_size, "interpolation": name, "antialias": antialias, "out": packed(small)}
                    native = v2.functional.resize(x, given, InterpolationMode(mode), max_size, antialias)
                    if dtype == "uint8" and not torch.equal(native, small):
                        case["native"] = packed(native)
                    yield case


def crop_cases():
    for shape, size in [([3, 9, 12], 5), ([1, 8, 11], [4, 4]), ([1, 7, 10], [4, 7]), ([2, 5, 4], 8), ([1, 6, 3], [3, 6]), ([1, 3, 6], [6, 3]), ([1, 4, 4], 4)]:
        yield {"shape": shape, "size": size, "out": packed(v2.CenterCrop(size)(image(shape, torch.uint8)))}


def preset_cases():
    for shape, options in [
        ([3, 61, 80], {"crop_size": 32, "resize_size": 36}),
        ([3, 80, 61], {"crop_size": 32, "resize_size": 36, "interpolation": InterpolationMode.BICUBIC}),
        ([3, 40, 30], {"crop_size": 24, "resize_size": 20, "mean": (0.48235, 0.45882, 0.40784), "std": (1 / 255, 1 / 255, 1 / 255)}),
        ([3, 50, 50], {"crop_size": 17, "antialias": False}),
    ]:
        for dtype in ["uint8", "float32"]:
            transform = _presets.ImageClassification(**options)
            given = {key: getattr(value, "value", value) for key, value in options.items()}
            yield {"shape": shape, "dtype": dtype, "options": given, "out": packed(transform(image(shape, getattr(torch, dtype))))}


ARCHITECTURES = "resnet18 resnet34 resnet50 resnet101 resnext50_32x4d vgg11 vgg16 vgg11_bn vgg16_bn mobilenet_v2 mobilenet_v3_large mobilenet_v3_small efficientnet_b0 densenet121"


def weights_of(name):
    """What the transforms of each of an architecture's weights are, and which of them is the default."""
    weights = get_model_weights(name)
    presets = {}
    for each in weights:
        transform = each.transforms()
        presets[each.name] = {
            "cropSize": transform.crop_size[0],
            "resizeSize": transform.resize_size[0],
            "mean": transform.mean,
            "std": transform.std,
            "interpolation": transform.interpolation.value,
            "antialias": transform.antialias,
        }
    return {"presets": presets, "default": weights.DEFAULT.name}


document = {"weights": {name: weights_of(name) for name in ARCHITECTURES.split()}}
document |= {"resize": list(resize_cases()), "centerCrop": list(crop_cases()), "presets": list(preset_cases())}
(HERE / "image_transforms.golden.json.gz").write_bytes(gzip.compress(json.dumps(document).encode(), mtime=0))
