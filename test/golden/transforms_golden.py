"""Writes transforms.golden.json.gz: what torchvision 0.29 (PyTorch 2.14) makes of images by its transforms.v2, and which numbers it has drawn.

Run: python test/golden/transforms_golden.py   (needs torchvision)
Each case is called several times in a row after one seed, so that the later calls tell whether the earlier ones drew as much as torchvision. `next` is what
the generator gives then. Pixels of the images come from a rule, which test/data/transforms.test.ts has too.
"""

import base64
import gzip
import json
import pathlib
import re

import torch
from torchvision.transforms import v2
from torchvision.utils import make_grid

from image_transforms_rule import image

HERE = pathlib.Path(__file__).parent


def snake(name):
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def value_of(value):
    if isinstance(value, dict):
        return build(value)
    if isinstance(value, list):
        return [value_of(each) for each in value]
    if value in ("uint8", "int32", "int64", "float32", "float64"):
        return getattr(torch, value)
    return "nearest-exact" if value == "nearestExact" else value


def build(spec):
    name, args, options = spec["name"], spec.get("args", []), spec.get("options", {})
    return getattr(v2, name)(*map(value_of, args), **{snake(key): value_of(value) for key, value in options.items()})


def packed(x):
    return {"shape": list(x.shape), "dtype": str(x.dtype)[6:], "data": base64.b64encode(x.contiguous().numpy().tobytes()).decode()}


def of(name, *args, shape=(3, 13, 17), dtypes=("uint8", "float32"), calls=3, **options):
    for dtype in dtypes:
        yield {"name": name, "args": list(args), "options": options, "shape": list(shape), "dtype": dtype, "calls": calls}


def cases():
    for p in [0.5, 0.0, 1.0]:
        yield from of("RandomHorizontalFlip", p)
        yield from of("RandomVerticalFlip", p, shape=(2, 3, 5, 4))
    for size, options in [(8, {}), ([9, 20], {}), (8, {"interpolation": "bicubic"}), (None, {"maxSize": 10}), (30, {"interpolation": "nearest"}), (9, {"antialias": False}), (8, {"interpolation": "lanczos"}), (8, {"interpolation": "nearestExact"})]:
        yield from of("Resize", size, calls=1, **options)
    yield from of("Resize", [6, 5], shape=(2, 1, 13, 17), calls=1)
    yield from of("Resize", 5, dtypes=["int32"], calls=1)
    for size in [8, [5, 12], [20, 4], 18]:
        yield from of("CenterCrop", size, calls=1)
    for size, options in [(8, {}), (13, {}), ([13, 9], {}), (13, {"padding": 4}), ([10, 12], {"padding": [1, 2]}), (12, {"padding": [1, 2, 3, 4], "paddingMode": "reflect"})]:
        yield from of("RandomCrop", size, **options)
    for options in [{"padding": 3, "paddingMode": "edge"}, {"padding": 5, "paddingMode": "symmetric"}, {"padding": 2, "fill": 7}, {"padding": 2, "fill": [1, 2, 3]}, {"padIfNeeded": True, "fill": 9.0}]:
        yield from of("RandomCrop", 20 if "padIfNeeded" in options else 14, **options)
    yield from of("RandomCrop", 4, shape=(2, 3, 6, 9))
    for options in [{}, {"scale": [0.5, 1.0]}, {"ratio": [3.0, 4.0], "scale": [0.9, 1.0]}, {"ratio": [0.1, 0.2], "scale": [0.9, 1.0]}, {"interpolation": "nearest"}, {"interpolation": "bicubic", "antialias": False}]:
        yield from of("RandomResizedCrop", [7, 9], calls=6, **options)
    for options in [{}, {"interpolation": "bilinear"}, {"fill": 5}, {"fill": [1.5, 20, 30.0], "interpolation": "bilinear"}, {"expand": True}, {"expand": True, "interpolation": "bilinear"}, {"center": [2, 3.5]}, {"fill": None, "interpolation": "bilinear"}]:
        yield from of("RandomRotation", 60, calls=4, **options)
    yield from of("RandomRotation", [0, 360], shape=(3, 40, 56), calls=3, interpolation="bilinear")
    yield from of("RandomRotation", [0, 360], shape=(2, 3, 40, 56), calls=3, expand=True)
    for angle in [0, 90, 180, 270]:
        yield from of("RandomRotation", [angle, angle], calls=1)
        yield from of("RandomRotation", [angle, angle], calls=1, expand=True)
    for options in [{}, {"translate": [0.2, 0.3]}, {"scale": [0.5, 1.5], "interpolation": "bilinear"}, {"shear": 20}, {"shear": [5, 10], "interpolation": "bilinear"}, {"shear": [-5, 10, -20, 20], "translate": [0.5, 0.0], "scale": [0.8, 1.2], "fill": 3}, {"center": [4, 4], "interpolation": "bilinear", "fill": [9.0, 8.0, 7.0]}]:
        yield from of("RandomAffine", 30, calls=4, **options)
    yield from of("RandomAffine", 0, shape=(2, 1, 24, 24), translate=[0.1, 0.1])
    for options in [{"brightness": 0.4}, {"contrast": 0.6}, {"saturation": 0.9}, {"hue": 0.5}, {"brightness": 0.4, "contrast": [0.5, 2.0], "saturation": 0.4, "hue": [-0.1, 0.3]}]:
        yield from of("ColorJitter", calls=4, **options)
    yield from of("ColorJitter", shape=(2, 1, 5, 6), brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    yield from of("ColorJitter", shape=(2, 3, 5, 6), brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    yield from of("Grayscale", calls=1)
    yield from of("Grayscale", calls=1, numOutputChannels=3)
    yield from of("Grayscale", calls=1, shape=(1, 4, 5), numOutputChannels=3)
    yield from of("RandomGrayscale", 0.5, calls=4)
    yield from of("RandomGrayscale", calls=4, shape=(1, 4, 5))
    for size, options in [(3, {}), ([5, 7], {}), (5, {"sigma": 1.5}), (7, {"sigma": [0.5, 3.0]}), (1, {})]:
        yield from of("GaussianBlur", size, **options)
    yield from of("GaussianBlur", 3, shape=(2, 2, 7, 8))
    yield from of("Normalize", [0.5, 0.4, 0.3], [0.2, 0.3, 0.4], dtypes=["float32", "float64"], calls=1)
    yield from of("Normalize", [0.5], [0.2], dtypes=["float32"], shape=(2, 3, 4, 4), calls=1)
    for dtype in ["uint8", "int32", "int64", "float32", "float64"]:
        yield from of("ToDtype", dtype, dtypes=["uint8", "float32", "float64"], calls=1)
    for dtype in ["int32", "int64", "float32", "float64"]:
        yield from of("ToDtype", dtype, dtypes=["uint8"], calls=1, scale=True)
    yield from of("ToDtype", "uint8", dtypes=["float32", "float64", "int32"], calls=1, scale=True)
    for options in [{}, {"value": 3}, {"value": [1, 2, 3]}, {"value": "random"}, {"scale": [0.5, 1.0], "ratio": [0.3, 0.5]}]:
        yield from of("RandomErasing", 0.7, dtypes=["float32"] if options.get("value") == "random" else ["uint8", "float32"], calls=5, **options)
    yield from of("RandomErasing", 1.0, shape=(2, 3, 20, 30), calls=2)
    flip, crop = {"name": "RandomHorizontalFlip"}, {"name": "RandomCrop", "args": [10], "options": {"padding": 2}}
    yield from of("RandomApply", [flip, crop], calls=6)
    yield from of("RandomApply", [crop], 0.2, calls=6)
    floats = {"name": "ToDtype", "args": ["float32"], "options": {"scale": True}}
    jitter = {"name": "ColorJitter", "options": {"brightness": 0.4, "hue": 0.1}}
    yield from of("Compose", [{"name": "RandomResizedCrop", "args": [9]}, flip, jitter, floats, {"name": "Normalize", "args": [[0.5, 0.5, 0.5], [0.25, 0.25, 0.25]]}, {"name": "RandomErasing"}], dtypes=["uint8"], calls=5)


def run(case, seed):
    transform = build(case)
    x = image(case["shape"], getattr(torch, case["dtype"]))
    torch.manual_seed(seed)
    outs = [packed(transform(x)) for _ in range(case["calls"])]
    return case | {"seed": seed, "outs": outs, "next": torch.randint(0, 2**31, (1,)).item()}


def mixes():
    for name in ["MixUp", "CutMix"]:
        for options in [{"numClasses": 5}, {"alpha": 0.2, "numClasses": 5}, {"alpha": 7.5}]:
            for dtype in ["float32"] if name == "MixUp" else ["float32", "uint8"]:
                transform = build({"name": name, "options": options})
                x = image([4, 3, 8, 10], getattr(torch, dtype))
                labels = torch.tensor([0, 3, 1, 4])
                if "numClasses" not in options:
                    labels = torch.nn.functional.one_hot(labels, 5).float() * 0.9 + 0.02
                torch.manual_seed(11)
                outs = [[packed(each) for each in transform(x, labels)] for _ in range(6)]
                yield {"name": name, "options": options, "dtype": dtype, "seed": 11, "outs": outs, "next": torch.randint(0, 2**31, (1,)).item()}


def grids():
    for shape, options in [
        ([5, 3, 4, 6], {}),
        ([5, 3, 4, 6], {"nrow": 2, "padding": 1, "padValue": 0.5}),
        ([9, 1, 4, 6], {"padding": 0}),
        ([4, 3, 4, 6], {"normalize": True}),
        ([4, 3, 4, 6], {"normalize": True, "scaleEach": True}),
        ([4, 3, 4, 6], {"normalize": True, "valueRange": [0.2, 0.7]}),
        ([4, 6], {}),
        ([1, 4, 6], {}),
        ([3, 4, 6], {"normalize": True}),
        ([1, 3, 4, 6], {}),
    ]:
        given = {snake(key): tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        for dtype in ["float32"] if "normalize" in options else ["float32", "uint8"]:
            x = image(shape if len(shape) > 2 else [1, *shape], getattr(torch, dtype)).reshape(shape)
            yield {"shape": shape, "dtype": dtype, "options": options, "out": packed(make_grid(x, **given))}


if __name__ == "__main__":
    document = {"transforms": [run(case, 3 + i) for i, case in enumerate(cases())], "mixes": list(mixes()), "grids": list(grids())}
    (HERE / "transforms.golden.json.gz").write_bytes(gzip.compress(json.dumps(document).encode(), mtime=0))
