# PyTorch's side of the conformance run: its own inventory of tests (op_db, module_db, optim_db), drawn, carried out and written down as
# data. A line of JSON asks ("list", or "draw" with an entry's name); cases come back, a line each, and a line {"done": …} ends the answer.
import copy
import inspect
import json
import math
import random
import sys
import warnings
import zlib
from base64 import b64encode

import numpy
import torch
from torch import nn, optim
from torch.optim import lr_scheduler
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db
from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

warnings.simplefilter("ignore")
torch.set_num_threads(1)
# Attention's fast kernel has no second derivatives, its definition has.
torch.backends.cuda.enable_flash_sdp(False)  # of CPUs as well

DTYPES = {name: getattr(torch, name) for name in ["float32", "float64", "int64", "int32", "uint8", "bool"]}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
# A case with more values than this would take longer to send than to run, and of those beyond LARGE one of an entry and dtype is enough:
# the others differ in strides, which are not sent.
MOST_VALUES = 2_000_000
LARGE = 300_000
# Before every call; PyTorch's own wrappers of random functions set this one too.
CALL_SEED = 42
# How many samples of an entry and dtype are differentiated twice.
SECOND_ORDER = 6


class Unavailable(Exception):
    """A value that the other side has no kind for, such as a complex number."""


# ---- values as data -------------------------------------------------------------------------------------------------


def tensor_data(t):
    if t.dtype not in NAMES:
        raise Unavailable(f"dtype {str(t.dtype).removeprefix('torch.')}")
    if t.layout != torch.strided or t.device.type != "cpu":
        raise Unavailable(f"{t.layout} on {t.device.type}")
    if t._is_zerotensor():
        t = torch.zeros(t.shape, dtype=t.dtype).requires_grad_(t.requires_grad)
    flat = t.detach().resolve_neg().contiguous().reshape(-1).numpy()
    data = {"shape": list(t.shape), "dtype": NAMES[t.dtype], "data": b64encode(flat.tobytes()).decode()}
    if t.requires_grad:
        data["grad"] = True
    return {"$": "tensor", **data}


def data_of(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, torch.Tensor):
        return tensor_data(value)
    if isinstance(value, (int, numpy.integer)):
        return int(value) if abs(int(value)) < 2**53 else {"$": "big", "value": str(int(value))}
    if isinstance(value, (float, numpy.floating)):
        value = float(value)
        if not math.isfinite(value):
            return {"$": "float", "value": str(value)}
        return {"$": "float", "value": value} if value.is_integer() else value
    if isinstance(value, torch.dtype):
        if value not in NAMES:
            raise Unavailable(f"dtype {str(value).removeprefix('torch.')}")
        return {"$": "dtype", "value": NAMES[value]}
    if isinstance(value, slice):
        return {"$": "slice", "value": [data_of(value.start), data_of(value.stop), data_of(value.step)]}
    if value is Ellipsis:
        return {"$": "ellipsis"}
    if isinstance(value, torch.memory_format):
        return {"$": "format", "value": str(value).removeprefix("torch.")}
    if isinstance(value, dict):
        return {"$": "dict", "value": [[data_of(k), data_of(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [data_of(v) for v in value]
    raise Unavailable(f"a {type(value).__name__}")


def mapped(value, change):
    """The same structure with every tensor and dtype changed."""
    if isinstance(value, (torch.Tensor, torch.dtype)):
        return change(value)
    if isinstance(value, dict):
        return {k: mapped(v, change) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        return type(value)(mapped(v, change) for v in value) if type(value) in (list, tuple) else [mapped(v, change) for v in value]
    return value


def leaves(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from leaves(v)
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from leaves(v)


def fresh(t):
    """A leaf of its own memory, as the other side will have it: dense, nothing shared."""
    if isinstance(t, torch.dtype):
        return t
    return t.detach().clone(memory_format=torch.contiguous_format).requires_grad_(t.requires_grad)


def widened(t):
    if isinstance(t, torch.dtype):
        return torch.float64 if t == torch.float32 else t
    if t.dtype != torch.float32:
        return fresh(t)
    return t.detach().to(torch.float64).contiguous().requires_grad_(t.requires_grad)


def flat_outputs(result):
    if isinstance(result, torch.Tensor) or not isinstance(result, (list, tuple)):
        return [result]
    return [one for part in result for one in flat_outputs(part)]


# ---- carrying a call out --------------------------------------------------------------------------------------------


def is_differentiable(t):
    return isinstance(t, torch.Tensor) and t.requires_grad and t.is_floating_point()


def measured(call, inputs, draw, order):
    """What a call gives: outputs, gradients for random cotangents, and their gradients for random directions. `draw` makes a random
    tensor like another, the same ones in the same order for every run of a case."""
    outputs = flat_outputs(call())
    found = {"outputs": outputs}
    wanted = [t for t in inputs if t.requires_grad]
    if order == 0 or not wanted or not any(is_differentiable(t) for t in outputs):
        return found
    roots = [t for t in outputs if is_differentiable(t)]
    cotangents = [draw(t) for t in roots]
    found["cotangents"] = [t.detach() for t in cotangents]
    if order == 2:
        for t in cotangents:
            t.requires_grad_()
    grads = torch.autograd.grad(roots, wanted, cotangents, create_graph=order == 2, allow_unused=True)
    found["grads"] = list(grads)
    again = [g for g in grads if is_differentiable(g)]
    if order < 2 or not again:
        return found
    directions = [draw(g) if is_differentiable(g) else None for g in grads]
    found["directions"] = directions
    found["second"] = list(
        torch.autograd.grad(again, [*wanted, *cotangents], [d for d in directions if d is not None], allow_unused=True)
    )
    return found


def drawer(seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(t):
        return torch.randn(t.shape, generator=generator, dtype=torch.float32).to(t.dtype)

    return draw


def failure(error):
    # Some go on with every signature that there is.
    return {"error": {"type": type(error).__name__, "text": str(error).strip().split("\n")[0][:300]}}


def described(found):
    return {key: [None if t is None else data_of(t) for t in values] for key, values in found.items()}


def expectation(attempt, seed, order, is_float32):
    """`attempt(change)` makes fresh inputs by `change` and gives (call, inputs)."""

    def run(change):
        call, inputs = attempt(change)
        torch.manual_seed(CALL_SEED)
        return measured(call, inputs, drawer(seed), order)

    try:
        expected = described(run(fresh))
    except Unavailable as error:
        return {"unavailable": str(error)}
    except Exception as error:
        return failure(error)
    if is_float32:
        # The truth: the same call on the same numbers in float64.
        try:
            truth = described(run(widened))
            for key in ("cotangents", "directions"):
                truth.pop(key, None)
            expected["truth"] = truth
        except Exception:
            pass
    return expected


# ---- functions ------------------------------------------------------------------------------------------------------


def full_name(op):
    return op.name + ("." + op.variant_test_name if op.variant_test_name else "")


def seeded(*parts):
    seed = zlib.crc32("/".join(map(str, parts)).encode())
    torch.manual_seed(seed)
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    return seed


LARGE_SEEN = {}


def function_case(op, sample, head, order, variant="function"):
    args, kwargs = [sample.input, *sample.args], dict(sample.kwargs)
    case = {**head, "kind": "function", "name": full_name(op), "variant": variant}
    size = sum(t.numel() for t in leaves([args, kwargs]))
    large_before = LARGE_SEEN.get((case["name"], case["dtype"]), False)
    if size > MOST_VALUES or size > LARGE and large_before:
        return {**case, "args": [], "kwargs": [], "expected": {"unavailable": "another large sample"}}
    LARGE_SEEN[case["name"], case["dtype"]] = large_before or size > LARGE
    try:
        clean_args, clean_kwargs = mapped(args, fresh), mapped(kwargs, fresh)
        written = clean_args
        if op.name == "__getitem__":
            # A tuple has a place for each dimension, a list is one index; as data both are lists.
            spec = clean_args[1]
            written = [clean_args[0], list(spec) if isinstance(spec, tuple) else [spec]]
        case["args"], case["kwargs"] = data_of(written), [[k, data_of(v)] for k, v in clean_kwargs.items()]
    except Unavailable as error:
        return {**case, "args": [], "kwargs": [], "expected": {"unavailable": str(error)}}

    def attempt(change):
        a, k = mapped(clean_args, change), mapped(clean_kwargs, change)
        inputs = list(leaves([a, k]))

        def call():
            if variant == "function":
                return op.op(*a, **k)
            # A leaf may not be written over, so what is written over is a copy of it.
            return op.inplace_variant(a[0].clone(), *a[1:], **k)

        return call, inputs

    case["expected"] = expectation(attempt, head["seed"], order, head["dtype"] == "float32")
    return case


def draw_function(op, seed, most, with_references):
    name = full_name(op)
    supported = [n for n, d in DTYPES.items() if d in op.supported_dtypes("cpu")]
    for dtype in supported:
        is_float = dtype in ("float32", "float64")
        wants_grad = is_float and op.supports_autograd
        sources = [("sample", lambda: op.sample_inputs("cpu", DTYPES[dtype], requires_grad=wants_grad))]
        if with_references:
            sources.append(("reference", lambda: op.reference_inputs("cpu", DTYPES[dtype], requires_grad=False)))
        for source, make in sources:
            seeded(seed, name, dtype, source)
            try:
                samples = make()
                samples = list(samples)
            except Exception as error:
                print(f"{name} {dtype} {source}: cannot be drawn: {error}", file=sys.stderr)
                continue
            for at, sample in enumerate(thinned(samples, most)):
                case_seed = seeded(seed, name, dtype, source, at)
                head = {"id": f"{name}/{dtype}/{source}/{at}", "source": source, "dtype": dtype, "seed": case_seed}
                order = 0
                if source == "sample" and wants_grad:
                    order = 2 if op.supports_gradgrad and dtype == "float64" and at < SECOND_ORDER else 1
                yield function_case(op, sample, head, order)
                if source == "sample" and op.inplace_variant and isinstance(sample.input, torch.Tensor):
                    yield function_case(op, sample, {**head, "id": head["id"] + "/inplace"}, min(order, 1), "inplace")
    if op.error_inputs_func:
        seeded(seed, name, "error")
        for at, error in enumerate(op.error_inputs("cpu")):
            sample = error.sample_input
            dtype = next((NAMES.get(t.dtype, "float32") for t in leaves([sample.input, sample.args])), "float32")
            head = {"id": f"{name}/error/{at}", "source": "error", "dtype": dtype, "seed": seeded(seed, name, "error", at)}
            yield function_case(op, sample, head, 0)


def thinned(items, most):
    """At most so many, evenly spread, the first ones among them."""
    if most is None or len(items) <= most:
        return items
    first = items[: most // 2]
    rest = items[most // 2 :]
    step = len(rest) / (most - len(first))
    return first + [rest[int(i * step)] for i in range(most - len(first))]


# ---- layers ---------------------------------------------------------------------------------------------------------


def bound_arguments(cls, given):
    """Constructor arguments by name, and the defaults of all."""
    signature = inspect.signature(cls.__init__)
    bound = signature.bind(None, *given.args, **given.kwargs).arguments
    bound.pop("self", None)
    named, rest = {}, []
    for key, value in bound.items():
        kind = signature.parameters[key].kind
        if kind == inspect.Parameter.VAR_POSITIONAL:
            rest = list(value)
        elif kind == inspect.Parameter.VAR_KEYWORD:
            named.update(value)
        else:
            named[key] = value
    defaults = {k: p.default for k, p in signature.parameters.items() if p.default is not inspect.Parameter.empty}
    return named, rest, defaults


def plain_defaults(defaults):
    found = []
    for key, value in defaults.items():
        try:
            found.append([key, data_of(value)])
        except Unavailable:
            pass
    return found


def module_case(cls, name, constructor, forward, head, training, order):
    case = {**head, "kind": "module", "name": name, "training": training}
    try:
        named, rest, defaults = bound_arguments(cls, constructor)
        forward_args = [*forward.args, *forward.kwargs.values()] if forward else None
        clean = None if forward_args is None else mapped(forward_args, fresh)
        case["constructor"] = {
            "named": [[k, data_of(v)] for k, v in named.items()],
            "rest": data_of(rest),
            "defaults": plain_defaults(defaults),
        }
        case["args"] = None if clean is None else data_of(clean)
        case["keywords"] = list(forward.kwargs) if forward else []
    except Unavailable as error:
        return {**case, "constructor": {"named": [], "rest": [], "defaults": []}, "args": [], "expected": {"unavailable": str(error)}}
    except Exception as error:
        # Arguments that Python itself refuses.
        return {**case, "constructor": {"named": [], "rest": [], "defaults": []}, "args": [], "expected": {"unavailable": f"signature: {error}"}}
    dtype = DTYPES[head["dtype"]]

    def build():
        torch.manual_seed(head["seed"])
        layer = cls(*constructor.args, **constructor.kwargs)
        return layer.to(dtype).train(training)

    try:
        reference = build()
        is_lazy = any(nn.parameter.is_lazy(t) for t in [*reference.parameters(), *reference.buffers()])
        state = None if is_lazy else {k: v.detach().clone() for k, v in reference.state_dict().items()}
    except Exception as error:
        return {**case, "expected": {**failure(error), "at": "construction"}}
    if clean is None:
        return {**case, "expected": {"outputs": []}}
    case["state"] = None if state is None else [[k, data_of(v)] for k, v in state.items()]
    last = {}

    def attempt(change):
        layer = build()
        if change is widened:
            layer = layer.to(torch.float64)
        a = mapped(clean, change)
        named = len(a) - len(forward.kwargs)
        parameters = list(layer.parameters())
        last["layer"] = layer
        return (lambda: layer(*a[:named], **dict(zip(forward.kwargs, a[named:])))), [*leaves(a), *(p for p in parameters if not is_lazy)]

    case["parameters"] = [] if is_lazy else [k for k, _ in reference.named_parameters()]
    expected = expectation(attempt, head["seed"], order, False)
    if "outputs" in expected:
        expected["state"] = [[k, data_of(v)] for k, v in last["layer"].state_dict().items()]
        if head["dtype"] == "float32" and not is_lazy:
            again = expectation(attempt, head["seed"], order, True)
            if "truth" in again:
                expected["truth"] = again["truth"]
                expected["truth"]["state"] = [[k, data_of(v)] for k, v in last["layer"].state_dict().items()]
    case["expected"] = expected
    return case


def draw_module(info, seed):
    name = info.name.removeprefix("nn.")
    for dtype in ("float64", "float32"):
        if DTYPES[dtype] not in info.supported_dtypes("cpu"):
            continue
        for training in (True, False):
            seeded(seed, name, dtype, training)
            inputs = info.module_inputs_func(info, device="cpu", dtype=DTYPES[dtype], requires_grad=True, training=training)
            for at, one in enumerate(inputs):
                if one.forward_input is None:
                    continue
                mode = "train" if training else "eval"
                case_seed = seeded(seed, name, dtype, training, at)
                head = {"id": f"nn.{name}/{dtype}/{mode}/{at}", "source": "sample", "dtype": dtype, "seed": case_seed}
                order = 2 if info.supports_gradgrad and dtype == "float64" else 1
                yield module_case(info.module_cls, name, one.constructor_input, one.forward_input, head, training, order)
            if info.module_error_inputs_func is None or dtype == "float64":
                continue
            errors = info.module_error_inputs_func(info, device="cpu", dtype=DTYPES[dtype], requires_grad=False, training=training)
            for at, error in enumerate(errors):
                one = error.module_error_input
                mode = "train" if training else "eval"
                head = {"id": f"nn.{name}/{dtype}/{mode}/error/{at}", "source": "error", "dtype": dtype, "seed": seeded(seed, name, "error", at)}
                forward = one.forward_input if error.error_on == ModuleErrorEnum.FORWARD_ERROR else None
                yield module_case(info.module_cls, name, one.constructor_input, forward, head, training, 0)


# ---- optimizers -----------------------------------------------------------------------------------------------------

SHAPES = [[3, 2], [5], [2, 1, 2, 2], []]
STEPS = 3


def saved_state(optimizer):
    state = optimizer.state_dict()
    groups = [[[k, data_of(v)] for k, v in group.items()] for group in state["param_groups"]]
    entries = [[i, [[k, data_of(v)] for k, v in own.items()]] for i, own in state["state"].items()]
    return {"groups": groups, "entries": entries}


def closure_of(parameters, slopes):
    """The loss p*g + p^2/2 + p^4/40 and its gradients: the same at every step, where LBFGS goes on from those before."""

    def closure():
        for p, g in zip(parameters, slopes):
            p.grad = g.to(p.dtype) + p.detach() + p.detach() ** 3 / 10
        values = [(p.detach(), g.to(p.dtype)) for p, g in zip(parameters, slopes)]
        return sum((p * g + p**2 / 2 + p**4 / 40).sum() for p, g in values)

    return closure


def optimizer_case(cls, kwargs, groups, head, params=None):
    """`params`: error inputs bring their own; else SHAPES, where `groups` cuts them and gives further options."""
    case = {**head, "kind": "optimizer", "name": cls.__name__}
    dtype = DTYPES[head["dtype"]]
    try:
        case["kwargs"] = [[k, data_of(v)] for k, v in kwargs.items()]
        if params is not None:
            case["params"] = data_of(params)
            # Whether two parameters are one cannot be told from values.
            seen = []
            case["sameAs"] = [next((i for i, s in enumerate(seen) if s is t), seen.append(t) or len(seen) - 1) for t in leaves(params)]
    except Unavailable as error:
        return {**case, "kwargs": [], "expected": {"unavailable": str(error)}}
    draw = drawer(head["seed"])
    starts = [draw(torch.empty(shape, dtype=dtype)) for shape in SHAPES]
    gradients = [[draw(torch.empty(shape, dtype=dtype)) for shape in SHAPES] for _ in range(2 * STEPS)]

    def build(as_dtype):
        owned = [nn.Parameter(t.to(as_dtype).clone()) for t in starts]
        given = owned
        if params is not None:
            given = params
        elif groups:
            given = [{"params": [owned[i] for i in own], **options} for own, options in groups]
        return owned, cls(given, **kwargs)

    def run(as_dtype):
        owned, optimizer = build(as_dtype)
        trace, middle = [], None
        for at, step in enumerate(gradients):
            for parameter, gradient in zip(owned, step):
                parameter.grad = gradient.to(as_dtype).clone()
            if at % 3 == 2:
                # One that got no gradient keeps its values and its count of steps.
                owned[1].grad = None
            optimizer.step(*([closure_of(owned, gradients[0])] if cls is optim.LBFGS else []))
            trace += [data_of(p.detach().clone()) for p in owned]
            if at == STEPS - 1:
                middle = {"params": trace[-len(owned) :], "state": copy.deepcopy(saved_state(optimizer))}
        return {"outputs": trace, "middle": middle, "last": saved_state(optimizer)}

    case["groups"] = [[own, [[k, data_of(v)] for k, v in options.items()]] for own, options in groups or []]
    case["starts"] = [data_of(t) for t in starts]
    case["gradients"] = [[data_of(t) for t in step] for step in gradients]
    try:
        expected = run(dtype)
        if head["dtype"] == "float32":
            expected["truth"] = {"outputs": run(torch.float64)["outputs"]}
    except Unavailable as error:
        expected = {"unavailable": str(error)}
    except Exception as error:
        expected = failure(error)
    return {**case, "expected": expected}


def draw_optimizer(info, seed):
    name = info.name
    for dtype in ("float64", "float32"):
        seeded(seed, name, dtype)
        for at, one in enumerate(info.optim_inputs_func("cpu", DTYPES[dtype])):
            for cut in range(2):
                groups = [([0, 2], {"lr": 0.02}), ([1, 3], {"weight_decay": 0.3})] if cut else None
                if cut and (at > 1 or not info.supports_param_groups):
                    continue
                head = {
                    "id": f"optim.{name}/{dtype}/{at}" + ("/groups" if cut else ""),
                    "source": "sample",
                    "dtype": dtype,
                    "seed": seeded(seed, name, dtype, at),
                }
                yield optimizer_case(info.optim_cls, one.kwargs, groups, head)
    for at, error in enumerate(info.optim_error_inputs_func("cpu", torch.float32)):
        one = error.optimizer_error_input
        head = {"id": f"optim.{name}/error/{at}", "source": "error", "dtype": "float32", "seed": seeded(seed, name, "error", at)}
        if error.error_type is UserWarning or error.error_on != OptimizerErrorEnum.CONSTRUCTION_ERROR:
            # A warning in PyTorch; whether it is one here is not what is asked.
            continue
        yield optimizer_case(info.optim_cls, one.kwargs, None, head, one.params)


# ---- schedules and initial values, of which PyTorch keeps no inventory ------------------------------------------------

SCHEDULES = {
    "StepLR": [{"step_size": 3}, {"step_size": 1, "gamma": 0.5}, {"step_size": 7, "gamma": 2.0}, {"step_size": 4, "gamma": 0.0}],
    "MultiStepLR": [{"milestones": [2, 5, 9]}, {"milestones": [3, 3, 4], "gamma": 0.3}, {"milestones": []}],
    "ExponentialLR": [{"gamma": 0.9}, {"gamma": 1.1}, {"gamma": 0.0}],
    "CosineAnnealingLR": [{"T_max": 10}, {"T_max": 4, "eta_min": 1e-3}, {"T_max": 1}],
    "LinearLR": [{}, {"start_factor": 0.1, "end_factor": 0.5, "total_iters": 8}, {"total_iters": 1}],
    "OneCycleLR": [
        {"max_lr": 0.1, "total_steps": 25},
        {"max_lr": 1.0, "epochs": 5, "steps_per_epoch": 5, "anneal_strategy": "linear", "pct_start": 0.4},
        {"max_lr": 0.5, "total_steps": 25, "three_phase": True, "div_factor": 10.0, "final_div_factor": 100.0},
        {"max_lr": 0.5, "total_steps": 25, "cycle_momentum": False},
        {"max_lr": [0.1, 0.2], "total_steps": 25, "base_momentum": 0.8, "max_momentum": 0.9},
    ],
    "ConstantLR": [{}, {"factor": 0.5, "total_iters": 3}, {"total_iters": 0}, {"factor": 1.0}],
    "PolynomialLR": [{}, {"total_iters": 9, "power": 2.5}, {"power": 0.0}, {"total_iters": 1}],
    "CosineAnnealingWarmRestarts": [{"T_0": 5}, {"T_0": 2, "T_mult": 2, "eta_min": 1e-3}, {"T_0": 1, "T_mult": 3}, {"T_0": 40}],
    "CyclicLR": [
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 4},
        {"base_lr": 0.01, "max_lr": [0.1, 0.2], "step_size_up": 3, "step_size_down": 5, "mode": "triangular2"},
        {"base_lr": [0.01, 0.02], "max_lr": 0.1, "step_size_up": 5, "mode": "exp_range", "gamma": 0.95},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 4, "cycle_momentum": False},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 4, "base_momentum": 0.5, "max_momentum": 0.99},
        {"base_lr": 0.01, "max_lr": 0.1},
    ],
    "ReduceLROnPlateau": [
        {},
        {"mode": "max", "patience": 1},
        {"factor": 0.5, "patience": 0, "cooldown": 2},
        {"patience": 1, "threshold": 0.1, "threshold_mode": "abs", "min_lr": 1e-3},
        {"patience": 0, "min_lr": [0.01, 0.02], "eps": 1e-3},
    ],
}
SCHEDULE_ERRORS = {
    "LinearLR": [{"start_factor": 0.0}, {"start_factor": 1.5}, {"end_factor": -0.1}, {"end_factor": 1.5}],
    "OneCycleLR": [
        {"max_lr": 0.1}, {"max_lr": 0.1, "total_steps": 0}, {"max_lr": 0.1, "total_steps": -3}, {"max_lr": 0.1, "epochs": 5},
        {"max_lr": 0.1, "epochs": -1, "steps_per_epoch": 5}, {"max_lr": 0.1, "total_steps": 10, "pct_start": 1.5},
        {"max_lr": 0.1, "total_steps": 10, "anneal_strategy": "straight"}, {"max_lr": [0.1], "total_steps": 10},
    ],
    "ReduceLROnPlateau": [{"factor": 1.0}, {"mode": "least"}, {"threshold_mode": "some"}, {"min_lr": [0.1]}],
    "ConstantLR": [{"factor": -0.1}, {"factor": 1.1}, {"last_epoch": 1}],
    "PolynomialLR": [{"total_iters": 0}, {"last_epoch": 1}],
    "CosineAnnealingWarmRestarts": [{"T_0": 0}, {"T_0": -2}, {"T_0": 3, "T_mult": 0}, {"T_0": 3, "last_epoch": 1}],
    "CyclicLR": [
        {"base_lr": 0.01, "max_lr": 0.1, "mode": "square"}, {"base_lr": 0.01, "max_lr": [0.1]}, {"base_lr": [0.01, 0.01, 0.01], "max_lr": 0.1},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 0},
    ],
    "StepLR": [{"step_size": 0}, {"step_size": 3, "last_epoch": 2}],
    "CosineAnnealingLR": [{"T_max": 0}, {"T_max": 3, "last_epoch": 1}],
    "MultiStepLR": [{"milestones": [2], "last_epoch": 1}],
    "ExponentialLR": [{"gamma": 0.5, "last_epoch": 1}],
}


def schedule_case(name, kwargs, head):
    case = {**head, "kind": "scheduler", "name": name, "kwargs": [[k, data_of(v)] for k, v in kwargs.items()]}
    metrics = [3.0, 2.5, 2.5, 2.49, 2.6, 2.0, 2.0, 2.0, 2.0, 1.99, 5.0, 5.0, 5.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    case["metrics"] = metrics
    try:
        groups = [{"params": [nn.Parameter(torch.ones(2))], "lr": lr} for lr in (0.1, 0.05)]
        optimizer = optim.SGD(groups, momentum=0.9)
        scheduler = getattr(lr_scheduler, name)(optimizer, **kwargs)
        trace = []
        for metric in [None, *metrics]:
            if metric is not None:
                optimizer.step()
                scheduler.step(*([metric] if name == "ReduceLROnPlateau" else []))
            trace.append([[g["lr"], g["momentum"]] for g in optimizer.param_groups])
        case["expected"] = {"trace": trace}
    except Exception as error:
        case["expected"] = failure(error)
    return case


def draw_schedule(name, seed):
    for source, table in (("sample", SCHEDULES), ("error", SCHEDULE_ERRORS)):
        for at, kwargs in enumerate(table.get(name, [])):
            head = {"id": f"lr_scheduler.{name}/{source}/{at}", "source": source, "dtype": "float64", "seed": seed}
            yield schedule_case(name, kwargs, head)


INITS = {
    "uniform_": [{}, {"a": -2.0, "b": 3.5}],
    "normal_": [{}, {"mean": 1.5, "std": 0.2}],
    "trunc_normal_": [{}, {"mean": 0.5, "std": 2.0, "a": -1.0, "b": 1.5}],
    "constant_": [{"val": 0.3}],
    "ones_": [{}],
    "zeros_": [{}],
    "eye_": [{}],
    "dirac_": [{}, {"groups": 5}],
    "sparse_": [{"sparsity": 0.3}, {"sparsity": 0.9, "std": 2.0}, {"sparsity": 0.0}, {"sparsity": 1.0}],
    "orthogonal_": [{}, {"gain": 1.7}],
    "xavier_uniform_": [{}, {"gain": 1.7}],
    "xavier_normal_": [{}, {"gain": 0.5}],
    "kaiming_uniform_": [{}, {"a": 0.2}, {"mode": "fan_out", "nonlinearity": "relu"}, {"nonlinearity": "tanh"}],
    "kaiming_normal_": [{}, {"a": 0.2}, {"mode": "fan_out", "nonlinearity": "relu"}, {"nonlinearity": "selu"}],
}
INIT_ERRORS = {
    "uniform_": [{"a": 2.0, "b": 1.0}],
    "normal_": [{"std": -1.0}],
    "dirac_": [{"groups": 2}],
    "kaiming_uniform_": [{"mode": "fan_all"}, {"nonlinearity": "gelu"}],
    "kaiming_normal_": [{"mode": "fan_all"}, {"nonlinearity": "gelu"}],
}


def init_case(name, shape, kwargs, head):
    case = {**head, "kind": "init", "name": name, "shape": shape, "kwargs": [[k, data_of(v)] for k, v in kwargs.items()]}
    try:
        torch.manual_seed(head["seed"])
        t = torch.full(shape, 7.0, dtype=DTYPES[head["dtype"]])
        case["expected"] = {"outputs": [data_of(getattr(nn.init, name)(t, **kwargs))]}
    except Exception as error:
        case["expected"] = failure(error)
    return case


def draw_init(name, seed):
    for dtype in ("float32", "float64"):
        for source, table in (("sample", INITS), ("error", INIT_ERRORS)):
            for at, kwargs in enumerate(table.get(name, [])):
                for shape in ([3, 4], [5, 2, 3, 3], [7], [], [20, 30], [0, 3]):
                    label = "x".join(map(str, shape)) or "scalar"
                    case_seed = seeded(seed, name, dtype, at, label)
                    head = {"id": f"nn.init.{name}/{dtype}/{source}/{at}/{label}", "source": source, "dtype": dtype, "seed": case_seed}
                    yield init_case(name, shape, kwargs, head)


# ---- the conversation -----------------------------------------------------------------------------------------------


def public(module, base):
    return sorted(
        name for name, value in vars(module).items()
        if not name.startswith("_") and inspect.isclass(value) and issubclass(value, base) and value is not base
    )


def listing():
    layers = public(nn, nn.Module)
    schedules = [n for n in public(lr_scheduler, lr_scheduler.LRScheduler)]
    inits = sorted(n for n, f in vars(nn.init).items() if n.endswith("_") and not n.startswith("_") and inspect.isfunction(f))
    return {
        "version": torch.__version__,
        "functions": [full_name(op) for op in op_db],
        "layers": layers,
        "drawnLayers": [info.name.removeprefix("nn.") for info in module_db],
        "optimizers": public(optim, optim.Optimizer),
        "drawnOptimizers": [info.name for info in optim_db],
        "schedulers": sorted({*schedules, "ReduceLROnPlateau"}),
        "drawnSchedulers": list(SCHEDULES),
        "inits": inits,
        "drawnInits": list(INITS),
    }


def draws(request):
    family, name, seed = request["family"], request["name"], request["seed"]
    if family == "functions":
        op = next(op for op in op_db if full_name(op) == name)
        return draw_function(op, seed, request["most"], request["references"])
    if family == "layers":
        return draw_module(next(info for info in module_db if info.name == f"nn.{name}"), seed)
    if family == "optimizers":
        return draw_optimizer(next(info for info in optim_db if info.name == name), seed)
    return (draw_schedule if family == "schedulers" else draw_init)(name, seed)


if __name__ == "__main__":
    for line in sys.stdin:
        request = json.loads(line)
        if "list" in request:
            print(json.dumps(listing()), flush=True)
            continue
        problem = None
        try:
            for case in draws(request):
                print(json.dumps(case), flush=True)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        print(json.dumps({"done": True, "problem": problem}), flush=True)
