"""The Python side of library_weights.ts: for every line NAME FOLDER a checkpoint of seeded weights whose batch norms have seen a batch, as training scripts save
it, and the logits of an input in evaluation. library_weights_peer.py torchvision | timm"""

import sys

import numpy as np
import torch

if sys.argv[1] == "timm":
    from timm import create_model as make
else:
    from torchvision.models import get_model as make

for line in sys.stdin:
    name, folder = line.split()
    torch.manual_seed(0)
    model = make(name)
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        model.train()(torch.randn(4, 3, 96, 96))
        logits = model.eval()(images)
    torch.save({"epoch": 90, "state_dict": {f"module.{key}": value for key, value in model.state_dict().items()}}, f"{folder}/weights.pt")
    np.savez(f"{folder}/logits.npz", images=images.numpy(), logits=logits.numpy())
    print(name, flush=True)
