# PyTorch's side of the benchmarks: a line "prepare WORK" names the work, "run MS" or "repeat COUNT" measures it, "peak" asks for the
# resident memory. A work is a function that runs it once, or a dict of ways to make such a function, of which the fastest is measured.
# Arguments: threads, and "compiled" where networks run by torch.compile.
import base64
import functools
import json
import sys
import time

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse
from torch_models import NETWORKS, lenet
from torch_scripts import SCRIPTS

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
COMPILED = "compiled" in sys.argv[2:]


FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def peak_memory():
    """MiB of this program: getrusage's figure may be that of the process that started it."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024



def in_formats(make):
    """make(layout) in both memory formats, of which the faster is measured."""
    return {name: functools.partial(make, layout) for name, layout in FORMATS.items()}


def dimensions(shape):
    return [int(d) for d in shape.split("x")]


def training(make_model, x, backward, lr):
    """Steps of SGD with momentum on one batch; backward(y, x) goes back from the model's output."""

    def work(layout):
        model = make_model()
        model, data = (t.to(memory_format=layout) if x.dim() == 4 else t for t in (model, x))
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        if COMPILED:
            model = torch.compile(model)

        def run():
            optimizer.zero_grad()
            backward(model(data), data)
            optimizer.step()

        return run

    return in_formats(work) if x.dim() == 4 else work(torch.contiguous_format)


def train(network, shape, classes, *layout):
    """A training step in the faster memory format, or in the one that is named."""
    classes, shape = int(classes), dimensions(shape)
    labels = torch.randint(0, classes, shape[:1])
    work = training(lambda: NETWORKS[network](classes), torch.randn(shape),
                    lambda y, _: nn.functional.cross_entropy(y, labels).backward(), lr=0.01)
    return work[layout[0]]() if layout else work


def chain(shape, count, with_norm):
    """Steps of 3x3 convolutions, each with batch norm and ReLU behind it or with nothing. The input serves as the output's gradient; at a
    rate of 0, since weights would grow without end."""
    x = torch.randn(dimensions(shape))
    c = x.shape[1]
    norm = [nn.BatchNorm2d, lambda c: nn.ReLU(inplace=True)] if int(with_norm) else []
    layers = [lambda c: nn.Conv2d(c, c, 3, padding=1, bias=False), *norm] * int(count)
    return training(lambda: nn.Sequential(*(make(c) for make in layers)), x, lambda y, x: y.backward(x), lr=0)


def frozen(model, x):
    """A traced model with its batch norms folded, and with PyTorch's fusions for inference."""
    return torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x)))


def inference(network, shape, classes):
    """A forward in evaluation mode: as it is, with batch norms folded, and frozen; or folded and compiled; in both memory formats."""
    shape = dimensions(shape)
    makers = {"as it is": lambda model, x: model, "torch.fx fused": lambda model, x: fuse(model), "torch.jit frozen": frozen}
    if COMPILED:
        makers = {"torch.fx fused": lambda model, x: torch.compile(fuse(model))}

    def work(make, layout):
        x = torch.randn(shape).to(memory_format=layout)
        with torch.inference_mode():
            model = make(NETWORKS[network](int(classes)).eval().to(memory_format=layout), x)

        def run():
            with torch.inference_mode():
                model(x)

        return run

    return {f"{maker}, {name}": functools.partial(work, makers[maker], layout)
            for maker in makers for name, layout in FORMATS.items()}


def lenet_step(batch):
    model, loss = lenet(10), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    x, y = torch.randn(batch, 1, 28, 28), torch.randint(0, 10, (batch,))

    def run():
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return run


def lenet_inference(batch):
    model = lenet(10).eval()
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


def small_chain(count):
    """Products and sums of 16 elements, forward and backward."""
    w, b = (torch.arange(16) / 100 + 0.9 for _ in range(2))
    w.requires_grad_(), b.requires_grad_()

    def run():
        w.grad = b.grad = None
        y = w
        for _ in range(count):
            y = y * w + b
        y.sum().backward()

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


def conv(*numbers_and_direction):
    """A convolution; input and weights in one memory format."""
    n, c, o, size, kernel, stride, groups = (int(number) for number in numbers_and_direction[:-1])

    def work(layout):
        x = torch.randn(n, c, size, size).to(memory_format=layout)
        weight = torch.randn(o, c // groups, kernel, kernel).to(memory_format=layout)
        return direction_of(lambda x, w: nn.functional.conv2d(x, w, None, stride, kernel // 2, 1, groups), x, weight,
                            numbers_and_direction[-1])

    return in_formats(work)


def linear(n, c, o, direction):
    return direction_of(nn.functional.linear, torch.randn(int(n), int(c)), torch.randn(int(o), int(c)), direction)


def matmul(n, direction):
    return direction_of(torch.matmul, torch.randn(int(n), int(n)), torch.randn(int(n), int(n)), direction)


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


def case(text):
    """A case of test/cases in float32, forward and backward; 50 times, as bench/suites/ops.ts."""
    given = json.loads(base64.b64decode(text))
    kinds = {"float64": torch.float32, "int64": torch.int64, "bool": torch.bool}
    inputs = [torch.tensor(x["data"], dtype=torch.float64).reshape(x["shape"]).to(kinds[x["kind"]]).requires_grad_(x["grad"])
              for x in given["inputs"]]
    names = {"t": torch, "F": nn.functional, **dict(zip("abcdefg", inputs))}
    code = compile(given["torch"], "<case>", "eval")
    wanted = [x for x in inputs if x.requires_grad]
    g = torch.ones_like(eval(code, names))

    def run():
        for _ in range(50):
            torch.autograd.grad(eval(code, names), wanted, g, allow_unused=True)

    return run


def expression(text):
    """An expression of x, forward alone or with backward; repeated, as bench/suites/spatial.ts."""
    given = json.loads(base64.b64decode(text))
    formats = {"contiguous": torch.contiguous_format, "channelsLast": torch.channels_last}
    memory_format, backward = formats[given["format"]], given["backward"]
    x = torch.randn(given["shape"]).contiguous(memory_format=memory_format).requires_grad_(backward)
    names = {"x": x, "t": torch, "F": nn.functional}
    code = compile(given["torch"], "<expression>", "eval")
    g = torch.randn_like(eval(code, names)).contiguous(memory_format=memory_format) if backward else None

    def run():
        for _ in range(given["repetitions"]):
            y = eval(code, names)
            if backward:
                torch.autograd.grad(y, x, g)

    return run


def io(action, file_format, path):
    """Reads or writes a state dict. safetensors' load_file alone maps the file into memory and reads nothing of it, so its tensors are cloned."""
    from safetensors.torch import load, load_file, save_file

    def load_bytes():
        with open(path, "rb") as file:
            return load(file.read())

    if action == "read":
        if file_format == "pytorch":
            return lambda: torch.load(path, mmap=False, weights_only=True)
        return {"cloned": lambda: lambda: {key: value.clone() for key, value in load_file(path).items()}, "of bytes": lambda: load_bytes}
    state = torch.load(path, weights_only=True) if file_format == "pytorch" else load_file(path)
    state = {key: value.clone() for key, value in state.items()}
    target = f"{path}.torch"
    return lambda: torch.save(state, target) if file_format == "pytorch" else save_file(state, target)


def io_one(path, name):
    """Opens a file of safetensors and reads one tensor of it."""
    from safetensors import safe_open

    def run():
        with safe_open(path, "pt") as file:
            return file.get_tensor(name).clone()

    return run


def fastest(makers):
    """The name and the work of the fastest of several ways to do the same."""
    best = None
    for name, make in makers.items():
        run, times = make(), []
        run()
        while len(times) < 3 or (len(times) < 7 and sum(times) < 0.5):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        median = sorted(times)[len(times) // 2]
        if best is None or median < best[0]:
            best = median, name, run
    return best[1:]


WORK = {
    "train": train,
    "chain": chain,
    "inference": inference,
    "lenet_step": lambda batch: lenet_step(int(batch)),
    "lenet_inference": lambda batch: lenet_inference(int(batch)),
    "norm": norm,
    "case": case,
    "expression": expression,
    "conv": conv,
    "linear": linear,
    "matmul": matmul,
    "io": io,
    "io_one": io_one,
    "dispatch": lambda count: dispatch(int(count)),
    "script": lambda name: SCRIPTS[name](),
    "small_chain": lambda count: small_chain(int(count)),
}

run = None
for line in sys.stdin:
    command, *rest = line.split()
    if command == "prepare":
        name, *arguments = rest[0].split(":")
        run = None  # frees what the former work held
        try:
            if COMPILED:
                torch.compiler.reset()  # compiled forms of other networks count against a limit
            run, answer = WORK[name](*arguments), {"version": torch.__version__}
            if isinstance(run, dict):
                answer["note"], run = fastest(run)
            run()
            run()
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"}
        print(json.dumps(answer), flush=True)
        continue
    if command == "peak":
        print(json.dumps([peak_memory()]), flush=True)
        continue
    amount, times = float(rest[0]), []
    if command == "run":
        run()  # brings back what other contenders have put out of the caches
    while not times or (sum(times) if command == "run" else len(times)) < amount:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    print(json.dumps(times), flush=True)
