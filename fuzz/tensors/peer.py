# PyTorch's side of the tensor fuzzer: reads a line of JSON with programs (program.ts), carries each out, answers with a line of outcomes. What is a view
# in PyTorch and a copy in the library is cloned here.
import json
import re
import sys
import warnings

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
warnings.simplefilter("ignore")
NAMES = ["float32", "float64", "int32", "int64", "uint8", "bool"]
DTYPES = {name: getattr(torch, name) for name in NAMES}


def number(v):
    return float(v["$"]) if isinstance(v, dict) else v


def tensor_of(g):
    values = torch.tensor([number(v) for v in g["data"]], dtype=torch.float64)
    return values.to(DTYPES[g["dtype"]]).reshape(g["shape"]).requires_grad_(g["requiresGrad"])


def special(v):
    if isinstance(v, bool) or isinstance(v, int):
        return int(v)
    if v != v:
        return {"$": "NaN"}
    if v in (float("inf"), float("-inf")):
        return {"$": "Infinity" if v > 0 else "-Infinity"}
    if v == 0 and str(v)[0] == "-":
        return {"$": "-0"}
    return int(v) if v == int(v) and abs(v) < 2**53 else v


def seen(t):
    if t is None:
        return None
    return {"shape": list(t.shape), "dtype": str(t.dtype)[6:], "data": [special(v) for v in t.detach().clone().reshape(-1).tolist()]}


def value_of(a, pool):
    if isinstance(a, dict):
        return pool[a["t"]] if "t" in a else float(a["$"])
    if isinstance(a, list):
        return [value_of(v, pool) for v in a]
    return a


def entry_of(e):
    if isinstance(e, str):
        if e == "...":
            return Ellipsis
        if not re.fullmatch(r"(-?\d+)?:(-?\d+)?(:(-?\d+)?)?", e):
            raise TypeError("no slice")
        return slice(*[int(p) if p else None for p in e.split(":")])
    if isinstance(e, list):
        t = torch.tensor(e) if e else torch.tensor([], dtype=torch.long)
        return t
    return e


def spec_of(spec):
    return tuple(entry_of(e) for e in spec) if isinstance(spec, list) else (entry_of(spec),)


def set_index(x, spec, value):
    x[spec_of(spec)] = value
    return x


def set_accumulate(x, spec, value):
    spec = spec_of(spec)
    if any(isinstance(e, torch.Tensor) and e.dim() + (e.dtype in (torch.bool, torch.uint8)) > 0 or isinstance(e, bool) for e in spec):
        part = x[spec]
        v = value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=x.dtype)
        if v.dtype != x.dtype:
            raise RuntimeError("Index put requires the source and destination dtypes match")
        while v.dim() > part.dim() and v.shape[0] == 1:
            v = v[0]
        v = v.expand(part.shape)
        # As sums at positions, so that slices and numbers may stand between the tensors.
        places = torch.arange(x.numel()).reshape(x.shape)[spec].reshape(-1)
        base = x.reshape(-1)
        if x.dtype == torch.bool:
            total = base.long().index_add(0, places, v.reshape(-1).long()) != 0
        else:
            total = base.index_add(0, places, v.reshape(-1))
        return x.copy_(total.reshape(x.shape))
    part = x[spec]
    v = value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=x.dtype)
    if v.dtype != x.dtype:
        raise RuntimeError("Index put requires the source and destination dtypes match")
    while v.dim() > part.dim() and v.shape[0] == 1:
        v = v[0]
    x[spec] = (part.clone() + v.expand(part.shape)).to(x.dtype)
    return x


def whole(v):
    # A number without a fraction is an integer to the library.
    if isinstance(v, float) and v == v and abs(v) != float("inf") and v == int(v):
        return int(v)
    return v


def snake(name):
    return re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), name)


def method(name):
    def run(x, *args):
        return getattr(x, name)(*args)
    return run


def reduction(name):
    def run(x, dim=None, keepdim=False):
        f = getattr(torch, name)
        if dim is None:
            if keepdim:
                dims = list(range(x.dim()))
                if name in ("argmax", "argmin"):
                    return f(x, keepdim=True)
                if name == "prod":
                    return f(x).reshape([1] * x.dim())
                return f(x, dim=dims, keepdim=True)
            return f(x)
        return f(x, dim=dim, keepdim=keepdim)
    return run


def where(c, a, b):
    return torch.where(c, a, b)


CALLS = {
    "index": lambda x, *spec: x[spec_of(list(spec))],
    "setIndex": set_index,
    "setIndexAccumulate": set_accumulate,
    "indexAdd": lambda x, dim, index, source, alpha=1: x.index_add(dim, index, source, alpha=whole(alpha)),
    "takeAlongDim": lambda x, index, dim=None: x.take_along_dim(index, dim),
    "embedding": lambda x, weight, padding=None: F.embedding(x, weight, padding),
    "slice": lambda x, dim, start=None, end=None, step=None: torch.ops.aten.slice(x, dim, start, end, step if step is not None else 1),
    "pad": lambda x, padding, value=0: F.pad(x, padding, value=value),
    "cat": lambda _, tensors, dim=0: torch.cat(tensors, dim),
    "stack": lambda _, tensors, dim=0: torch.stack(tensors, dim),
    "to": lambda x, dtype: x.to(DTYPES[dtype]),
    "clamp": lambda x, low=None, high=None: x.clamp(low, high),
    "where": where,
    "logSoftmax": lambda x, dim: x.log_softmax(dim),
    "topk": lambda x, k=1, dim=-1: x.topk(k, dim)[0],  # which of equal ones is open
    "t": lambda x: x.t(),
}
for name in ["indexSelect", "indexCopy", "indexFill", "gather", "scatter", "scatterAdd", "maskedSelect", "maskedScatter", "maskedFill",
             "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "expand", "repeat", "narrow", "select", "flip",
             "split", "chunk", "clone", "detach", "fill_", "copy_", "add_", "mul_", "add", "sub", "mul", "div", "pow", "remainder", "maximum",
             "minimum", "eq", "ne", "lt", "le", "gt", "ge", "logicalAnd", "logicalOr", "logicalXor", "logicalNot", "neg", "abs", "sign",
             "square", "floor", "ceil", "round", "exp", "tanh", "sigmoid", "relu", "isnan", "isfinite", "cumsum", "softmax"]:
    CALLS[name] = method(snake(name))
for name in ["sum", "mean", "amax", "amin", "any", "all", "prod", "argmax", "argmin"]:
    CALLS[name] = reduction(name)
VIEWS = {"reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "detach"}
IN_PLACE = {"setIndex", "setIndexAccumulate", "fill_", "copy_", "add_", "mul_"}


def cotangent(t):
    return torch.tensor([((i * 7) % 5 - 2) / 2 for i in range(t.numel())], dtype=torch.float64).reshape(t.shape).to(t.dtype)


def run(program):
    steps, gradients, second, error = [], [], [], None
    try:
        inputs = [tensor_of(g) for g in program["given"]]
        pool = list(inputs)
        for step in program["steps"]:
            op = step["op"]
            result = CALLS[op](pool[step["on"]], *[value_of(a, pool) for a in step["args"]])
            made = list(result) if isinstance(result, (tuple, list)) else [result]
            shares = op in VIEWS or op in IN_PLACE or made[:1] == [] or made[0] is pool[step["on"]] or op == "t" and made[0].dim() < 2
            if not shares:
                made = [t.clone(memory_format=torch.contiguous_format) for t in made]
            steps.append([seen(t) for t in made])
            pool.append(made[0] if made else pool[step["on"]])
        last, order = pool[-1], program["order"]
        wanted = [t for t in inputs if t.requires_grad]
        if order > 0 and last.is_floating_point() and last.requires_grad:
            y = last * last if order == 2 else last
            first = torch.autograd.grad([y], wanted, [cotangent(last)], allow_unused=True, create_graph=order == 2)
            gradients = [seen(g) for g in first]
            terms = [(g * g).sum() for g in first if g is not None and g.requires_grad]
            if order == 2 and terms:
                second = [seen(g) for g in torch.autograd.grad(terms, wanted, allow_unused=True)]
    except Exception as e:
        error = f"{type(e).__name__}: {str(e).splitlines()[0][:300] if str(e) else ''}"
    return {"steps": steps, "error": error, "gradients": gradients, "second": second}


print(json.dumps({"version": torch.__version__}), flush=True)
for line in sys.stdin:
    print(json.dumps([run(p) for p in json.loads(line)], separators=(",", ":")), flush=True)
