# PyTorch's side of the benchmarks: a line "prepare WORK" names the work, "run MS" or "repeat COUNT" measures it, "peak" asks for the
# resident memory.
import json
import resource
import sys
import time

import torch
from torch import nn

torch.set_num_threads(int(sys.argv[1]))
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


def norm(kind, shape, channels_last):
    """Forward and backward of one normalization; shape "32x64x56x56"."""
    size = [int(d) for d in shape.split("x")]
    rank, c = len(size), size[1]
    layout = torch.contiguous_format
    if int(channels_last):
        layout = torch.channels_last if rank == 4 else torch.channels_last_3d
    place = min(max(rank - 3, 0), 2)  # 2-D and 3-D: 1d
    batch_norm = [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d][place](c)
    instance_norm = [nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d][place]
    forward = {
        "batch_norm": lambda: batch_norm,
        "batch_norm_relu": lambda: nn.Sequential(batch_norm, nn.ReLU(inplace=True)),
        "instance_norm": lambda: instance_norm(c, affine=True),
        "group_norm": lambda: nn.GroupNorm(c // 2 if c < 32 else 32, c),
        "layer_norm": lambda: nn.LayerNorm(size[1:]),
        "rms_norm": lambda: nn.RMSNorm(size[1:]),
        "local_response_norm": lambda: nn.LocalResponseNorm(5),
        "frozen_batch_norm": lambda: FrozenBatchNorm2d(c),
        "ghost_batch_norm": lambda: SplitRows(batch_norm, 2),
    }[kind]()
    x = torch.randn(size).to(memory_format=layout).requires_grad_()
    g = torch.randn(size).to(memory_format=layout)

    wanted = [x, *(p for p in (forward.parameters()))]

    def run():
        torch.autograd.grad(forward(x), wanted, g)

    return run


def direction_of(forward, x, weight, direction):
    """One of the three directions of forward(x, weight)."""
    if direction == "forward":
        def run():
            with torch.no_grad():
                forward(x, weight)
        return run
    wanted = (x if direction == "backward_data" else weight).requires_grad_()
    y = forward(x, weight)
    g = torch.randn_like(y)
    return lambda: torch.autograd.grad(y, wanted, g, retain_graph=True)


def median_time(run):
    times = []
    for _ in range(7):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def conv(*numbers_and_direction):
    """A convolution in the memory format that is faster here, for input and weights alike."""
    n, c, o, size, kernel, stride, groups = (int(number) for number in numbers_and_direction[:-1])

    def work(layout):
        x = torch.randn(n, c, size, size).to(memory_format=layout)
        weight = torch.randn(o, c // groups, kernel, kernel).to(memory_format=layout)
        return direction_of(lambda x, w: nn.functional.conv2d(x, w, None, stride, kernel // 2, 1, groups), x, weight,
                            numbers_and_direction[-1])

    return min((work(layout) for layout in (torch.contiguous_format, torch.channels_last)), key=median_time)


def linear(n, c, o, direction):
    return direction_of(nn.functional.linear, torch.randn(int(n), int(c)), torch.randn(int(o), int(c)), direction)


class FrozenBatchNorm2d(nn.Module):
    """torchvision's, which is four buffers and one expression."""

    def __init__(self, c):
        super().__init__()
        for name, value in ("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0):
            self.register_buffer(name, torch.full((c,), value))

    def forward(self, x):
        w, b, m, v = (t.reshape(1, -1, 1, 1) for t in self.buffers())
        scale = w * (v + 1e-5).rsqrt()
        return x * scale + (b - m * scale)


class SplitRows(nn.Module):
    """Ghost batch norm as tabular networks have it: the parts of a batch through one layer."""

    def __init__(self, layer, parts):
        super().__init__()
        self.layer, self.parts = layer, parts

    def forward(self, x):
        return torch.cat([self.layer(part) for part in x.chunk(self.parts)])


WORK = {
    "lenet_step": lambda batch: lenet_step(int(batch)),
    "lenet_inference": lambda batch: lenet_inference(int(batch)),
    "norm": norm,
    "conv": conv,
    "linear": linear,
    "dispatch": lambda count: dispatch(int(count)),
}

run = None
for line in sys.stdin:
    command, *rest = line.split()
    if command == "prepare":
        name, *arguments = rest[0].split(":")
        run = None  # frees what the former work held
        run = WORK[name](*arguments)
        run()
        run()
        print(json.dumps({"version": torch.__version__}), flush=True)
        continue
    if command == "peak":
        print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]), flush=True)
        continue
    amount, times = float(rest[0]), []
    while not times or (sum(times) if command == "run" else len(times)) < amount:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    print(json.dumps(times), flush=True)
