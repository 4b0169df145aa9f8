"""torchvision's side of torchvision_weights.ts: for every line NAME FOLDER a checkpoint of seeded weights whose batch norms have seen a batch, and the
logits of a rule input in evaluation."""

import sys

import numpy as np
import torch
from torchvision import models

for line in sys.stdin:
    name, folder = line.split()
    torch.manual_seed(0)
    model = getattr(models, name)()
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        model.train()(torch.randn(4, 3, 96, 96))
        logits = model.eval()(images)
    torch.save({"epoch": 90, "state_dict": {f"module.{key}": value for key, value in model.state_dict().items()}}, f"{folder}/weights.pt")
    np.savez(f"{folder}/logits.npz", images=images.numpy(), logits=logits.numpy())
    print(name, flush=True)
