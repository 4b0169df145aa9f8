"""Checkpoints of PyTorch, safetensors and NumPy for the fuzzer of files: makes them from a seed, and says what it finds in ours. A line of JSON goes
in, a line comes back."""

import base64
import collections
import hashlib
import json
import random
import sys

import numpy as np
import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
    torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2,
]
HELD = {
    torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.int8: torch.int32, torch.int16: torch.int32, torch.uint16: torch.int32,
    torch.uint32: torch.int64, torch.uint64: torch.int64, torch.float8_e4m3fn: torch.float32, torch.float8_e5m2: torch.float32,
}


def tensor_of(draw):
    dtype = draw.choice(DTYPES)
    shape = [draw.choice([0, 1, 2, 3, 5]) if draw.random() < 0.15 else draw.randint(1, 5) for _ in range(draw.randint(0, 4))]
    count = int(np.prod(shape)) if shape else 1
    size = torch.empty(0, dtype=dtype).element_size()
    raw = np.frombuffer(draw.randbytes(count * size), dtype=np.uint8).copy()
    if dtype == torch.bool:
        raw &= 1
    if dtype == torch.uint64:
        raw[7::8] &= 127
    # An empty one cannot be seen as another type.
    tensor = torch.from_numpy(raw).view(dtype).reshape(shape) if count else torch.zeros(shape, dtype=dtype)
    kind = draw.random()
    if kind < 0.15 and tensor.dim() >= 2:
        tensor = tensor.transpose(0, draw.randrange(tensor.dim()))
    elif kind < 0.25 and tensor.dim() >= 1 and tensor.shape[0] > 2:
        tensor = tensor[1 :: draw.randint(1, 2)]
    elif kind < 0.3 and tensor.dim() == 4 and tensor.numel() > 0 and tensor.element_size() > 1 and tensor.dtype.is_floating_point:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    elif kind < 0.35:
        tensor = tensor.unsqueeze(0).expand(2, *tensor.shape)
    return tensor


def name_of(draw):
    return ".".join(draw.choice(["layer1", "0", "1", "weight", "bias", "größe", "__proto__", "constructor", "running_mean", "10", "a b"]) for _ in range(draw.randint(1, 4)))


def state_of(draw):
    state = collections.OrderedDict()
    for _ in range(draw.randint(1, 8)):
        state[name_of(draw)] = draw.choice(list(state.values())) if state and draw.random() < 0.15 else tensor_of(draw)
    if draw.random() < 0.5:
        state._metadata = collections.OrderedDict(("" if i == 0 else name_of(draw), {"version": draw.randint(1, 3)}) for i in range(draw.randint(1, 3)))
    return state


def module_of(draw, depth=0):
    kinds = [
        lambda: nn.Linear(draw.randint(1, 4), draw.randint(1, 4), bias=draw.random() < 0.5),
        lambda: nn.BatchNorm2d(draw.randint(1, 4), affine=draw.random() < 0.8, track_running_stats=draw.random() < 0.8),
        lambda: nn.Conv2d(draw.randint(1, 3), draw.randint(1, 3), draw.randint(1, 3)),
        lambda: nn.GroupNorm(1, draw.randint(1, 4)), lambda: nn.LayerNorm([draw.randint(1, 4)]), lambda: nn.ReLU(),
    ]
    if depth < 3 and draw.random() < 0.5:
        parts = [module_of(draw, depth + 1) for _ in range(draw.randint(1, 3))]
        return nn.Sequential(*parts) if draw.random() < 0.5 else nn.ModuleDict({f"part{i}": part for i, part in enumerate(parts)})
    return draw.choice(kinds)()


def plain_of(draw, depth=0):
    kind = draw.randrange(14 if depth < 4 else 8)
    if kind == 0:
        return None
    if kind == 1:
        return draw.random() < 0.5
    if kind == 2:
        return draw.choice([0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31) - 1, 2**53, -(2**64), 2**100, draw.getrandbits(40)])
    if kind == 3:
        return draw.choice([0.0, -0.0, 0.1, -1e300, float("inf"), float("nan"), draw.random()])
    if kind == 4:
        return draw.choice(["", "text", "größe \U0001f600", "0", "a\nb", "x" * 300])
    if kind == 5:
        return draw.randbytes(draw.randint(0, 9))
    if kind in (6, 7):
        return tensor_of(draw)
    if kind == 8:
        return tuple(plain_of(draw, depth + 1) for _ in range(draw.randint(0, 5)))
    if kind in (9, 10):
        return [plain_of(draw, depth + 1) for _ in range(draw.randint(0, 5))]
    if kind == 11:
        return state_of(draw)
    if kind == 12:
        return {draw.randint(0, 20): plain_of(draw, depth + 1) for _ in range(draw.randint(0, 4))}
    return {name_of(draw): plain_of(draw, depth + 1) for _ in range(draw.randint(0, 5))}


def training_of(draw):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    kind = draw.choice([torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop])
    options = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    optimizer = kind([{"params": model[0].parameters()}, {"params": model[1:].parameters(), "lr": 0.125}], lr=0.25, **options)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    for _ in range(draw.randint(1, 3)):
        optimizer.zero_grad()
        model(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()
        scheduler.step()
    return {
        "epoch": draw.randint(0, 9), "model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
        "rng": torch.get_rng_state(), "best": draw.random(), "history": [{"loss": draw.random()} for _ in range(3)],
    }


def digest(tensor):
    """A tensor by its type and shape, and a sum of its elements' bytes in row-major order."""
    held = tensor.detach().to(HELD.get(tensor.dtype, tensor.dtype)).contiguous()
    data = held.reshape(-1).clone(memory_format=torch.contiguous_format).view(torch.uint8).numpy().tobytes() if held.numel() else b""
    # The bits of a NaN are nobody's business.
    if held.dtype.is_floating_point and held.numel():
        data = torch.nan_to_num(held, nan=123.0, posinf=float("inf"), neginf=float("-inf")).reshape(-1).clone(memory_format=torch.contiguous_format).view(torch.uint8).numpy().tobytes()
    return ["tensor", str(held.dtype)[6:], list(tensor.shape), hashlib.sha256(data).hexdigest()[:16]]


def describe(value):
    """Anything in a form that both sides can make and compare."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return ["number", str(value)] if abs(value) < 2**53 else ["bigint", str(value)]
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return ["number", {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]]
        if value.is_integer() and abs(value) < 2**53:
            return ["number", "-0" if str(value) == "-0.0" else str(int(value))]
        return ["number", base64.b64encode(np.float64(value).tobytes()).decode()]
    if isinstance(value, (bytes, bytearray)):
        return ["bytes", base64.b64encode(value).decode()]
    if isinstance(value, torch.Tensor):
        return digest(value)
    if isinstance(value, tuple):
        return ["tuple", [describe(item) for item in value]]
    if isinstance(value, list):
        return ["list", [describe(item) for item in value]]
    if isinstance(value, dict):
        metadata = getattr(value, "_metadata", None)
        versions = [[path, entry["version"]] for path, entry in metadata.items() if "version" in entry] if metadata else None
        return ["dict", [[str(key), describe(item)] for key, item in value.items()], versions if value and all(isinstance(v, torch.Tensor) for v in value.values()) else None]
    raise TypeError(type(value))


def aliases(state):
    """Which names share memory."""
    groups = {}
    for name, tensor in state.items():
        groups.setdefault((tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tuple(tensor.shape), tensor.stride()), []).append(name)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1 and state[group[0]].numel() > 0)


def make(seed, path):
    draw = random.Random(seed)
    torch.manual_seed(seed)
    kind = draw.choice(["state", "state", "plain", "training", "module", "safetensors", "npz"])
    legacy = draw.random() < 0.4
    options = {"_use_new_zipfile_serialization": not legacy, "pickle_protocol": draw.choice([2, 2, 2, 3, 4, 5]) if not legacy else 2}
    if kind == "safetensors":
        state = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state_of(draw).items()}
        save_file(state, path)
        return kind, describe(state), []
    if kind == "npz":
        state = {name: tensor.contiguous() for name, tensor in state_of(draw).items() if tensor.dtype not in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2) and "/" not in name}
        arrays = {name: np.asfortranarray(tensor.numpy()) if tensor.dim() > 0 and draw.random() < 0.3 else tensor.numpy() for name, tensor in state.items()}
        with open(path, "wb") as file:
            (np.savez_compressed if draw.random() < 0.5 else np.savez)(file, **arrays)
        return kind, describe(state), []
    if kind == "module":
        module = module_of(draw)
        torch.save(module, path, **options)
        state = module.state_dict()
        return kind, describe(dict(state)), []
    data = {"state": state_of, "plain": plain_of, "training": training_of}[kind](draw)
    torch.save(data, path, **options)
    return kind, describe(data), aliases(data) if kind == "state" else []


def read(kind, path):
    if kind == "safetensors":
        with safetensors.safe_open(path, "pt") as file:
            return describe({name: file.get_tensor(name) for name in file.keys()}), []
    if kind == "npz":
        with np.load(path) as file:
            return describe({name: torch.from_numpy(file[name]) for name in file.files}), []
    data = torch.load(path, weights_only=True)
    return describe(data), aliases(data) if kind == "state" else []


print(json.dumps({"version": torch.__version__, "safetensors": safetensors.__version__}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    try:
        if request["do"] == "make":
            kind, described, shared = make(request["seed"], request["path"])
        else:
            kind = request["kind"]
            described, shared = read(kind, request["path"])
        answer = {"kind": kind, "data": described, "aliases": shared}
    except Exception as error:  # noqa: BLE001
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
