"""Writes lenet_bn.golden.json: losses of a small LeNet with batch norm, trained by PyTorch from a seed, for test/training/lenet_bn.test.ts.

Run: python test/golden/lenet_bn_golden.py   (made with PyTorch 2.13.0)
"""

import json
import pathlib

import torch
from torch import nn


def run(dtype, steps=10):
    torch.set_default_dtype(dtype)
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6), nn.Sigmoid(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(64, 20, bias=False), nn.BatchNorm1d(20, momentum=None), nn.Sigmoid(), nn.Linear(20, 10),
    )
    x, y = torch.randn(16, 1, 20, 20), torch.randint(0, 10, (16,))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps=steps)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    losses, norms = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        value = loss(net(x), y)
        value.backward()
        norms.append(nn.utils.clip_grad_norm_(net.parameters(), 2.0).item())
        optimizer.step()
        schedule.step()
        losses.append(value.item())
    net.eval()
    with torch.no_grad():
        final = loss(net(x), y).item()
    return {"losses": losses, "norms": norms, "evaluation": final, "runningVar": net[11].running_var.tolist(), "seen": net[1].num_batches_tracked.item()}


out = {"float32": run(torch.float32), "float64": run(torch.float64)}
pathlib.Path(__file__).with_name("lenet_bn.golden.json").write_text(json.dumps(out) + "\n")
