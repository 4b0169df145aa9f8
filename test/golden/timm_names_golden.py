"""Writes timm_names.golden.json.gz: names and shapes of the states of timm's models (1.0.31), in their order.

Run: python test/golden/timm_names_golden.py   (needs timm)
"""

import gzip
import json
import pathlib

import timm

HERE = pathlib.Path(__file__).parent
NAMES = "resnet18 resnet50 resnext50_32x4d vgg11 vgg16_bn mobilenetv2_100 mobilenetv3_large_100 mobilenetv3_small_100 efficientnet_b0 densenet121"
document = {
    name: {key: list(value.shape) for key, value in timm.create_model(name).state_dict().items()} for name in NAMES.split()
}
(HERE / "timm_names.golden.json.gz").write_bytes(gzip.compress(json.dumps(document).encode(), mtime=0))
