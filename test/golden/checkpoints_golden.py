"""Small files as PyTorch 2.13, safetensors and NumPy write them, and what is in them, for test/io. Writes checkpoints/ and checkpoints.golden.json
beside itself. pip install torch==2.13.0 numpy safetensors"""

import collections
import io
import json
import math
import pathlib
import tarfile
import zipfile

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

here = pathlib.Path(__file__).parent
folder = here / "checkpoints"
folder.mkdir(exist_ok=True)
for old in folder.iterdir():
    old.unlink()
expected = {}
torch.manual_seed(0)
# The old format puts the source of each module's class into the file, and where it lies: here a word in the place of both.
torch.serialization.get_source_lines_and_file = lambda kind: ([f"class {kind.__name__}: ...\n"], 1, f"{kind.__name__}.py")

HELD = {
    torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.int8: torch.int32, torch.int16: torch.int32,
    torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.int64,
}
FLOAT8 = [getattr(torch, f"float8_{kind}") for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz", "e8m0fnu")]
HELD.update({dtype: torch.float32 for dtype in FLOAT8})


def number(value):
    if isinstance(value, bool) or isinstance(value, int):
        return int(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 and math.copysign(1, value) < 0:
        return "-0"
    return value


def as_json(tensor):
    """A tensor as Tensor.toJSON has it, in the type that it is given when it is loaded."""
    held = tensor.detach().to(HELD.get(tensor.dtype, tensor.dtype))
    data = [number(value) for value in held.flatten().tolist()]
    data = [str(value) if isinstance(value, int) and abs(value) > 2**53 - 1 else value for value in data]
    return {"dtype": str(held.dtype)[6:], "shape": list(held.shape), "data": data}


def state_of(tensors):
    return {name: as_json(tensor) for name, tensor in tensors.items()}


def save(name, data, tensors=None, **options):
    torch.save(data, folder / name, **options)
    if tensors is not None:
        expected[name] = state_of(tensors)


model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))
model[1](torch.randn(4, 2, 3, 3))
for legacy in (False, True):
    tag = "_legacy" if legacy else ""
    options = {"_use_new_zipfile_serialization": not legacy}
    state = model.state_dict()
    save(f"state{tag}.pt", state, state, **options)

    halves = torch.tensor([0, -0.0, 1, -2.5, 65504, 6e-8, math.inf, -math.inf, math.nan])
    kinds = {
        "float64": torch.tensor([math.pi, -1e300]), "float32": torch.tensor([0.1, -1e-40]).float(),
        "float16": halves.half(), "bfloat16": halves.bfloat16(),
        "int64": torch.tensor([2**63 - 1, -(2**63), 5]), "int32": torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32),
        "int16": torch.tensor([32767, -32768], dtype=torch.int16), "int8": torch.tensor([127, -128], dtype=torch.int8),
        "uint8": torch.tensor([0, 255], dtype=torch.uint8), "bool": torch.tensor([True, False]),
        "uint16": torch.tensor([65535, 1]).to(torch.uint16), "uint32": torch.tensor([2**32 - 1, 1]).to(torch.uint32),
        "uint64": torch.tensor([2**53 + 1, 1]).to(torch.uint64),
        "empty": torch.zeros(0, 3), "scalar": torch.tensor(7),
    }
    kinds["float64"] = torch.tensor([math.pi, -1e300], dtype=torch.float64)
    for dtype in FLOAT8:
        kinds[str(dtype)[6:]] = torch.arange(256, dtype=torch.uint8).view(dtype)
    save(f"dtypes{tag}.pt", kinds, kinds, **options)

    base = torch.arange(24.0)
    image = torch.arange(2 * 3 * 4 * 2.0).reshape(2, 3, 4, 2)
    views = {
        "base": base, "again": base, "shaped": base.view(4, 6), "part": base[3:9], "transposed": base.view(4, 6).t(),
        "every_second": base[::2], "expanded": base[:4].expand(3, 4), "channels_last": image.contiguous(memory_format=torch.channels_last),
        "own": torch.ones(2),
    }
    save(f"views{tag}.pt", views, views, **options)
    save(f"module{tag}.pt", model, model.state_dict(), **options)

    optimizer = torch.optim.Adam([{"params": model[0].parameters()}, {"params": model[1].parameters(), "lr": 0.5}], lr=0.25, betas=(0.5, 0.75))
    model.zero_grad()
    model[1](model[0](torch.randn(2, 1, 5, 5))).square().sum().backward()
    optimizer.step()
    state = model.state_dict()
    save(
        f"training{tag}.pt",
        {"epoch": 3, "best": 0.5, "state_dict": state, "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()[:16], "args": ["--lr", "0.25"]},
        state,
        **options,
    )

plain = {
    "none": None, "true": True, "int": -5, "large": 2**53 - 1, "huge": 2**70, "negative": -(2**64), "float": 0.5, "whole": 2.0,
    "inf": math.inf, "text": "größe \U0001f600", "bytes": b"\x00\xff", "bytearray": bytearray(b"ab"), "list": [1, [2, []]], "tuple": (1, ("a",)),
    "one": (1,), "three": (1, 2, 3), "empty": (), "set": {1}, "frozenset": frozenset(["a"]), "size": torch.Size([2, 3]),
    "ordered": collections.OrderedDict([("b", 1), ("a", 2)]), "counter": collections.Counter("aab"),
    "default": collections.defaultdict(int, {"x": 1}), "ints": {0: "a", 1: "b"}, "texts": {"0": "a", "x": "b"}, "mixed": {(1, 2): 3, 2.5: 4, None: 5},
    "float32": np.float32(0.1), "float64": np.float64(0.1), "int64": np.int64(-(2**60)), "uint8": np.uint8(200), "bool": np.bool_(True),
    "float16": None, "dtype": torch.float16, "device": torch.device("cuda", 1), "layout": torch.strided,
    "array": np.arange(6, dtype=np.int16).reshape(2, 3), "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big": np.arange(3, dtype=">f4"), "parameter": nn.Parameter(torch.ones(2)), "needs": torch.ones(1, requires_grad=True),
}
shared = [1]
plain["shared"] = [shared, shared]
save("plain.pt", plain)
save("plain_protocol4.pt", plain, pickle_protocol=4)
torch.save(plain, folder / "plain_legacy.pt", _use_new_zipfile_serialization=False)

several = {"ema": {"w": torch.ones(1)}, "model": {"w": torch.zeros(1)}}
save("several.pt", several, several["model"])
save("unnamed.pt", {"a": {"w": torch.ones(1)}, "b": {"w": torch.zeros(1)}})


class Settings:
    def __init__(self):
        self.lr = 0.5


torch.save({"state_dict": {"w": torch.ones(1)}, "settings": Settings()}, folder / "unknown.pt")
expected["unknown.pt"] = state_of({"w": torch.ones(1)})

# What no tensor can be.
with np.errstate(all="ignore"):
    save("quantized.pt", {"q": torch.quantize_per_tensor(torch.ones(2), 0.5, 0, torch.qint8)})
save("sparse.pt", {"s": torch.ones(2, 2).to_sparse()})
save("complex.pt", {"c": torch.ones(2, dtype=torch.complex64), "ok": torch.ones(1)})
save("meta.pt", {"m": torch.ones(2, device="meta")})
save("conjugate.pt", {"c": torch.ones(2, dtype=torch.complex64).conj()})
save("no_state.pt", {"epoch": 1})
torch.jit.script(nn.Linear(1, 1)).save(str(folder / "script.pt"))

# A big-endian machine's file: the same archive with every storage turned around. PyTorch must agree.
state = {"f": torch.tensor([1.5, -2.0]), "i": torch.tensor([1, 2**40]), "h": torch.tensor([0.5]).half(), "b": torch.tensor([True])}
buffer = io.BytesIO()
torch.save(state, buffer)
sizes = {"0": 4, "1": 8, "2": 2, "3": 1}
with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(folder / "big_endian.pt", "w") as target:
    for name in source.namelist():
        data = source.read(name)
        key = name.split("/")[-1]
        if name.endswith("byteorder"):
            data = b"big"
        elif "/data/" in name:
            data = np.frombuffer(data, dtype=f"u{sizes[key]}").byteswap().tobytes()
        target.writestr(name, data)
for name, tensor in torch.load(folder / "big_endian.pt").items():
    assert torch.equal(tensor, state[name]), name
expected["big_endian.pt"] = state_of(state)

# Without checksums, which is PyTorch's own option.
torch.serialization.set_crc32_options(False)
torch.save(state, folder / "no_checksums.pt")
torch.serialization.set_crc32_options(True)
expected["no_checksums.pt"] = state_of(state)

with tarfile.open(folder / "tar.pt", "w", format=tarfile.USTAR_FORMAT) as archive:
    for name in ("sys_info", "pickle", "storages", "tensors"):
        info = tarfile.TarInfo(name)
        info.size = 1
        archive.addfile(info, io.BytesIO(b"."))

# NumPy.
arrays = {
    "f8": np.array([[0.1, 2.0]]), "f4": np.float32([0.5]), "f2": np.float16([0.5, np.inf]), "i8": np.int64([[2**60]]), "i2": np.int16([-3]),
    "i1": np.int8([-3]), "u1": np.uint8([200]), "u2": np.uint16([65535]), "u4": np.uint32([2**32 - 1]), "b1": np.array([True, False]),
    "big": np.arange(3, dtype=">i4"), "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "scalar": np.float64(3.0), "empty": np.zeros((0, 2)),
    "layer.0.weight": np.ones((1, 2, 1)),
}
of_numpy = {name: as_json(torch.from_numpy(np.ascontiguousarray(a).astype(a.dtype.newbyteorder("="))).reshape(a.shape)) for name, a in arrays.items()}
np.savez(folder / "arrays.npz", **arrays)
np.savez_compressed(folder / "compressed.npz", **arrays, zeros=np.zeros(2000))
expected["arrays.npz"] = of_numpy
expected["compressed.npz"] = {**of_numpy, "zeros": as_json(torch.zeros(2000, dtype=torch.float64))}
np.save(folder / "array.npy", arrays["fortran"])
np.save(folder / "objects.npy", np.array([{}], dtype=object))
np.save(folder / "records.npy", np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]))
np.save(folder / "complex.npy", np.ones(2, dtype=np.complex64))
np.save(folder / "texts.npy", np.array(["a"]))

# safetensors.
kinds = {name: tensor.contiguous() for name, tensor in kinds.items()}
save_file(kinds, folder / "dtypes.safetensors", metadata={"format": "pt", "note": "a \"quoted\" ü"})
expected["dtypes.safetensors"] = state_of(kinds)
state = model.state_dict()
names = list(state)
parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
for part, keys in parts.items():
    save_file({key: state[key] for key in keys}, folder / part)
index = {"metadata": {"total_size": 0}, "weight_map": {key: part for part, keys in parts.items() for key in keys}}
(folder / "model.safetensors.index.json").write_text(json.dumps(index))
expected["model.safetensors.index.json"] = state_of({key: state[key] for part in parts.values() for key in part})

(here / "checkpoints.golden.json").write_text(json.dumps({"torch": torch.__version__, "states": expected}, ensure_ascii=False) + "\n")
print(sum(path.stat().st_size for path in folder.iterdir()), "bytes in", len(list(folder.iterdir())), "files")
