# PyTorch's side of the benchmarks: prepares the named work, then measures it whenever a line "run MS" or "repeat COUNT" arrives; "peak"
# asks for the resident memory.
import json
import resource
import sys
import time

import torch
from torch import nn

torch.set_num_threads(int(sys.argv[2]))
torch.manual_seed(0)


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.BatchNorm2d(6), nn.Sigmoid(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.BatchNorm1d(120), nn.Sigmoid(),
        nn.Linear(120, 84), nn.BatchNorm1d(84), nn.Sigmoid(), nn.Linear(84, 10))


def lenet_step(batch):
    model, loss = lenet(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    x, y = torch.randn(batch, 1, 28, 28), torch.randint(0, 10, (batch,))

    def run():
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return run


def lenet_inference(batch):
    model = lenet().eval()
    x = torch.randn(batch, 1, 28, 28)

    def run():
        with torch.no_grad():
            model(x)

    return run


def dispatch(count):
    x = torch.randn(1, requires_grad=True)

    def run():
        y = x
        for _ in range(count):
            y = y + x

    return run


WORK = {
    "lenet_step": lambda batch: lenet_step(int(batch)),
    "lenet_inference": lambda batch: lenet_inference(int(batch)),
    "dispatch": lambda count: dispatch(int(count)),
}

name, *arguments = sys.argv[1].split(":")
run = WORK[name](*arguments)
run()
run()
print(json.dumps({"version": torch.__version__}), flush=True)
for line in sys.stdin:
    if line.startswith("peak"):
        print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]), flush=True)
        continue
    command, argument = line.split()
    amount, times = float(argument), []
    while not times or (sum(times) if command == "run" else len(times)) < amount:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    print(json.dumps(times), flush=True)
