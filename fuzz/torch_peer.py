# PyTorch's side of the fuzzer: reads a line of JSON with programs (fuzz/program.ts), carries each out, answers with a line of reports.
# A program's tensors arrive with their values, so that nothing has to be drawn twice.
import base64
import json
import re
import sys
import warnings

import numpy
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.parameter import is_lazy

torch.set_num_threads(1)
torch.set_warn_always(True)
STATE = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
DTYPES = {name: getattr(torch, name) for name in ["float32", "float64", "int32", "int64", "uint8", "bool"]}


def snake(name):
    return re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name)


def options_of(given):
    # JSON does not tell 1 from 1.0, but what Python prints does.
    def value(v):
        return float(v) if type(v) is int else v
    return {snake(k): DTYPES[v] if k == "dtype" else value(v) for k, v in given.items()}


def tensor_of(spec):
    values = numpy.frombuffer(base64.b64decode(spec["data"]), dtype=numpy.float64)
    t = torch.from_numpy(values.copy()).to(DTYPES[spec["dtype"]]).reshape(spec["shape"])
    if spec["format"] == "channelsLast":
        last = (0, *range(2, t.dim()), 1)
        back = (0, t.dim() - 1, *range(1, t.dim() - 1))
        t = t.permute(last).contiguous().permute(back)
    return t


def values_in(t):
    if t is None:
        return None
    if is_lazy(t):
        return "uninitialized"
    t = t.detach()
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(t.dim())
    is_last = last is not None and t.is_contiguous(memory_format=last)
    fmt = None
    if last is not None and is_last != t.is_contiguous():
        fmt = "channelsLast" if is_last else "contiguous"
    data = t.to(torch.float64).contiguous().numpy().tobytes()
    return {
        "shape": list(t.shape),
        "dtype": str(t.dtype).removeprefix("torch."),
        "format": fmt,
        "data": base64.b64encode(data).decode(),
    }


class Runner:
    def state(self):
        tensors = {name: self.get(name) for name in STATE}
        return {
            "tensors": {name: values_in(t) for name, t in tensors.items()},
            "requiresGrad": {n: tensors[n] is not None and tensors[n].requires_grad for n in ["weight", "bias", "running_mean"]},
            **self.rest(),
        }


class Layer(Runner):
    def __init__(self, subject):
        self.layer = getattr(nn, subject["kind"])(*subject["positional"], **options_of(subject["options"]))
        self.saved = self.copied()

    def copied(self):
        live = self.layer.state_dict()
        if any(is_lazy(t) for t in live.values()):
            return live
        copy = type(live)((k, t.clone()) for k, t in live.items())
        copy._metadata = live._metadata
        return copy

    def forward(self, x):
        return self.layer(x)

    def get(self, name):
        return getattr(self.layer, name, None)

    def rest(self):
        return {
            "training": self.layer.training,
            "tracking": getattr(self.layer, "track_running_stats", False),
            "numFeatures": getattr(self.layer, "num_features", None),
            "className": type(self.layer).__name__,
        }

    def control(self, call):
        layer, op = self.layer, call["op"]
        if op in ("train", "eval"):
            getattr(layer, op)()
        elif op == "track":
            layer.track_running_stats = call["value"]
        elif op == "drop":
            setattr(layer, call["name"], None)
        elif op == "set":
            layer.load_state_dict({call["name"]: tensor_of(call["value"])}, strict=False)
        elif op == "requiresGrad":
            if self.get(call["name"]) is not None:
                self.get(call["name"]).requires_grad = call["value"]
        elif op == "save":
            self.saved = self.copied()
        elif op == "load":
            state = self.saved.copy()
            if call["without"]:
                state.pop(call["without"], None)
            if call["metadata"]:
                state._metadata = self.saved._metadata
            elif hasattr(state, "_metadata"):
                del state._metadata
            return str(layer.load_state_dict(state, strict=call["strict"]))
        elif op == "reset":
            layer.reset_running_stats()
        elif op == "resetParameters":
            layer.reset_parameters()
        elif op == "print":
            return str(layer)
        return None


class Functional(Runner):
    def __init__(self, subject):
        self.kind, self.positional = subject["kind"], subject["positional"]
        self.options = options_of(subject["options"])
        self.held = {name: tensor_of(subject["tensors"][name]) if name in subject["tensors"] else None for name in STATE}
        self.training = True

    def forward(self, x):
        held = {name: self.held[name] for name in STATE[:4]}
        affine = {"weight": held["weight"], "bias": held["bias"]}
        function = getattr(F, self.kind.removeprefix("F."))
        if self.kind == "F.batch_norm":
            # `relu` is the library's own option: the same as F.relu behind it.
            options = {k: v for k, v in self.options.items() if k != "relu"}
            y = function(x, **held, training=self.training, **options)
            return F.relu(y) if "relu" in self.options else y
        if self.kind == "F.instance_norm":
            return function(x, **held, use_input_stats=self.training, **self.options)
        if self.kind == "F.rms_norm":
            affine.pop("bias")
        if self.kind == "F.local_response_norm":
            affine = {}
        return function(x, *self.positional, **affine, **self.options)

    def get(self, name):
        return self.held[name]

    def rest(self):
        return {"training": self.training, "tracking": True, "numFeatures": None, "className": self.kind}

    def control(self, call):
        op = call["op"]
        if op in ("train", "eval"):
            self.training = op == "train"
        elif op == "set" and self.held[call["name"]] is not None:
            self.held[call["name"]] = tensor_of(call["value"])
        elif op == "drop":
            self.held[call["name"]] = None
        elif op == "requiresGrad" and self.held[call["name"]] is not None:
            self.held[call["name"]].requires_grad = call["value"]
        return None


def carry_out(runner, call, outcome):
    if "input" not in call:
        outcome["text"] = runner.control(call)
        return
    x = tensor_of(call["input"]).requires_grad_(call["needsInput"])
    tensors = outcome["tensors"]
    with torch.set_grad_enabled(call["op"] != "noGrad"):
        y = runner.forward(x)
    parameters = {name: runner.get(name) for name in ["weight", "bias"]}
    tensors["y"] = values_in(y)
    outcome["requiresGrad"] = y.requires_grad
    wanted = {k: t for k, t in {"x": x, **parameters}.items() if t is not None and t.requires_grad}
    if call["op"] == "backward" or call["op"] == "double" and not wanted:
        y.backward(tensor_of(call["cotangent"]))
        tensors["dx"] = values_in(x.grad)
        for name, parameter in parameters.items():
            tensors["d" + name] = None if parameter is None else values_in(parameter.grad)
            if parameter is not None:
                parameter.grad = None
    elif call["op"] == "double":
        cotangent = tensor_of(call["cotangent"]).requires_grad_()
        first = dict(zip(wanted, torch.autograd.grad(y, list(wanted.values()), cotangent, create_graph=True, allow_unused=True)))
        found = {k: t for k, t in first.items() if t is not None and list(t.shape) == call["second"][k]["shape"]}
        second = torch.autograd.grad(
            list(found.values()), [*wanted.values(), cotangent], [tensor_of(call["second"][k]) for k in found], allow_unused=True)
        for name, one, two in zip(wanted, first.values(), second):
            tensors["d" + name] = values_in(one)
            tensors["dd" + name] = values_in(two)
        tensors["ddy"] = values_in(second[-1])


def run(program):
    outcomes, runner = [], None

    def attempt(work):
        nonlocal runner
        outcome = {"error": None, "text": None, "warnings": [], "tensors": {}, "requiresGrad": None, "state": None}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                work(outcome)
            except Exception as error:
                outcome["error"] = {"type": type(error).__name__, "text": str(error)}
        outcome["warnings"] = [str(w.message).split(" (Triggered internally")[0] for w in caught]
        outcome["state"] = runner and runner.state()
        outcomes.append(outcome)

    def construct(_):
        nonlocal runner
        subject = program["subject"]
        runner = (Functional if subject["kind"].startswith("F.") else Layer)(subject)

    attempt(construct)
    if runner:
        for call in program["calls"]:
            attempt(lambda outcome: carry_out(runner, call, outcome))
    return outcomes


print(json.dumps({"version": torch.__version__}), flush=True)
for line in sys.stdin:
    print(json.dumps([run(program) for program in json.loads(line)]), flush=True)
