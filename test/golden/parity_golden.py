"""Writes parity.golden.json: ResNet-18 on Fashion-MNIST in PyTorch, loss by loss, for test/training/parity.test.ts.

Run: python test/golden/parity_golden.py   (made with PyTorch 2.13.0)
Batches of shuffled images, padded to 32x32 and repeated in three channels; seed 0; SGD with momentum. Losses in float64, and from the same
initial weights and batches in float32. In float32 some ReLU meets a number so near 0 that rounding decides its gradient, once in a few steps;
runs are different ones from then on. `strays` says per step how far PyTorch's float32 run is from its float64 run, relative to
the loss and at most so far; `threadsStray` the same between its float32 runs with one and with two threads.
"""

import itertools
import json
import pathlib
import sys

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from trajectory_golden import ROOT, fashion_mnist, short

sys.path.append(str(ROOT / "bench" / "peers"))
from torch_models import NETWORKS  # noqa: E402

SETTINGS = {"steps": 100, "batchSize": 16, "lr": 0.001, "momentum": 0.9}


def train(dataset, dtype, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = NETWORKS["resnet18"](10).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=SETTINGS["lr"], momentum=SETTINGS["momentum"])
    losses = []
    for images, labels in DataLoader(dataset, batch_size=SETTINGS["batchSize"], shuffle=True):
        x = F.pad(images, (2, 2, 2, 2)).to(torch.float32).div(255).repeat(1, 3, 1, 1)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.to(dtype)), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if len(losses) == SETTINGS["steps"]:
            return losses


def strays(a, b):
    """Largest relative differences of the losses up to each step."""
    return list(itertools.accumulate((abs(x / y - 1) for x, y in zip(a, b)), max))


if __name__ == "__main__":
    dataset = fashion_mnist()
    single, double = (train(dataset, dtype, 2) for dtype in (torch.float32, torch.float64))
    other = train(dataset, torch.float32, 1)
    golden = {"settings": SETTINGS, "float64": short(double, 13), "float32": short(single, 9),
              "strays": short(strays(single, double), 2), "threadsStray": short(strays(other, single), 2)}
    print(golden["strays"], golden["threadsStray"], double[::10])
    path = pathlib.Path(__file__).with_name("parity.golden.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
