"""Writes optim.golden.json: trajectories of PyTorch's optimizers, sequences of its schedules, clipping, and a saved state, for test/optim/.

Run: python test/golden/optim_golden.py   (made with PyTorch 2.13.0)
Parameters and gradients follow a rule that the tests repeat: value(i, seed) = (((i*37 + seed*97) mod 101)/17 - 3)*scale.
"""

import base64
import json
import pathlib
import warnings

import torch
from torch import optim
from torch.optim import lr_scheduler as S

warnings.simplefilter("ignore")
SHAPES = [(3, 4), (5,), (2, 3, 2, 2)]
STEPS = 20


def values(shape, seed, scale, dtype):
    n = torch.Size(shape).numel()
    data = [(((i * 37 + seed * 97) % 101) / 17 - 3) * scale for i in range(n)]
    return torch.tensor(data, dtype=torch.float64).reshape(shape).to(dtype)


def raw(tensors):
    return [base64.b64encode(t.detach().contiguous().numpy().tobytes()).decode() for t in tensors]


# Options in the library's names; the tests read them from the file.
SETTINGS = [
    ["SGD", {"lr": 0.1}],
    ["SGD", {"lr": 0.1, "momentum": 0.9}],
    ["SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}],
    ["SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weightDecay": 0.1}],
    ["SGD", {"lr": 0.05, "weightDecay": 0.2, "maximize": True}],
    ["Adam", {}],
    ["Adam", {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-4}],
    ["Adam", {"lr": 0.05, "weightDecay": 0.1, "amsgrad": True}],
    ["Adam", {"lr": 0.05, "maximize": True}],
    ["AdamW", {"lr": 0.05}],
    ["AdamW", {"lr": 0.05, "weightDecay": 0.3, "amsgrad": True, "maximize": True}],
    ["RMSprop", {}],
    ["RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-6, "weightDecay": 0.1}],
    ["RMSprop", {"lr": 0.02, "momentum": 0.9}],
    ["RMSprop", {"lr": 0.02, "momentum": 0.5, "centered": True, "maximize": True}],
    ["Adagrad", {}],
    ["Adagrad", {"lr": 0.1, "lrDecay": 0.1, "weightDecay": 0.1, "initialAccumulatorValue": 0.5, "eps": 1e-6, "maximize": True}],
    ["Adadelta", {}],
    ["Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weightDecay": 0.1, "maximize": True}],
    ["Adamax", {}],
    ["Adamax", {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-4, "weightDecay": 0.1, "maximize": True}],
    ["NAdam", {}],
    ["NAdam", {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-4, "weightDecay": 0.1, "momentumDecay": 0.01}],
    ["NAdam", {"lr": 0.05, "weightDecay": 0.1, "decoupledWeightDecay": True, "maximize": True}],
    ["RAdam", {}],
    ["RAdam", {"lr": 0.05, "betas": [0.8, 0.95], "eps": 1e-4, "weightDecay": 0.1}],
    ["RAdam", {"lr": 0.05, "weightDecay": 0.1, "decoupledWeightDecay": True, "maximize": True}],
    ["Rprop", {}],
    ["Rprop", {"lr": 0.05, "etas": [0.4, 1.5], "stepSizes": [1e-3, 0.2], "maximize": True}],
    ["ASGD", {}],
    ["ASGD", {"lr": 0.05, "lambd": 0.01, "alpha": 0.5, "t0": 6, "weightDecay": 0.1, "maximize": True}],
    ["Adafactor", {}],
    ["Adafactor", {"lr": 0.05, "beta2Decay": -0.5, "eps": [1e-3, 0.1], "d": 1.5, "weightDecay": 0.1, "maximize": True}],
    ["Muon", {}],
    ["Muon", {"lr": 0.05, "weightDecay": 0.2, "momentum": 0.8, "nesterov": False, "nsSteps": 3, "adjustLrFn": "matchRmsAdamw"}],
    ["LBFGS", {"lr": 0.2, "maxIter": 4}],
    ["LBFGS", {"lr": 0.5, "maxIter": 4, "historySize": 3, "lineSearchFn": "strongWolfe"}],
    ["LBFGS", {"lr": 20, "maxIter": 3, "maxEval": 7, "lineSearchFn": "strongWolfe"}],
]
# Muon takes matrices only.
MATRICES = [(3, 4), (5, 1), (6, 4)]
# Its iterations are in bfloat16, where a rounding is a coin; the library's are in the parameter's dtype.
torch.Tensor.bfloat16 = lambda tensor: tensor.clone()


def snake(name):
    return "".join("_" + c.lower() if c.isupper() else c for c in name)


def make(name, options, params):
    converted = {snake(k): tuple(v) if isinstance(v, list) else snake(v) if isinstance(v, str) else v for k, v in options.items()}
    return getattr(optim, name)(params, **converted)


def start(name, dtype):
    shapes = MATRICES if name == "Muon" else SHAPES
    return [torch.nn.Parameter(values(shape, i, 0.5, dtype)) for i, shape in enumerate(shapes)]


def take_step(name, optimizer, params, step, dtype):
    set_gradients(params, step, dtype)
    if name != "LBFGS":
        return optimizer.step()
    given = [p.grad for p in params]

    def closure():
        # The loss: p*g + p^4/4 of all that have a gradient.
        for p, g in zip(params, given):
            p.grad = None if g is None else g + p.detach() ** 3
        return sum((p.detach() * g + p.detach() ** 4 / 4).sum() for p, g in zip(params, given) if g is not None)

    return optimizer.step(closure)


def set_gradients(params, step, dtype):
    for i, p in enumerate(params):
        # The second parameter has a gradient only every third step.
        p.grad = None if i == 1 and step % 3 != 0 else values(p.shape, 10 * step + i, 0.3 / (1 + step), dtype)


def trajectory(name, options, dtype):
    params = start(name, dtype)
    optimizer = make(name, options, params)
    after = {}
    # Every iteration of LBFGS multiplies the roundings of those before it.
    steps = STEPS if name != "LBFGS" else 5 if dtype == torch.float64 else 1
    for step in range(steps):
        take_step(name, optimizer, params, step, dtype)
        if step in (0, 4, STEPS - 1):
            after[step + 1] = raw(params)
    return {"optimizer": name, "options": options, "dtype": str(dtype)[6:], "after": after}


def plain(value):
    if isinstance(value, torch.Tensor):
        return {"tensor": value.tolist(), "dtype": str(value.dtype)[6:]}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def saved(name, options):
    """The state after three steps, and the parameters after two more."""
    dtype = torch.float64
    params = start(name, dtype)
    optimizer = make(name, options, params)
    for step in range(3):
        take_step(name, optimizer, params, step, dtype)
    state, before = plain(optimizer.state_dict()), raw(params)
    for step in range(3, 5):
        take_step(name, optimizer, params, step, dtype)
    return {"optimizer": name, "options": options, "state": state, "before": before, "after": raw(params)}


def sequence(make_schedule, steps, groups=2, optimizer="SGD", metrics=None):
    params = [torch.nn.Parameter(torch.zeros(1)) for _ in range(groups)]
    specs = [{"params": [p], "lr": 0.5 / (1 + 9 * i)} for i, p in enumerate(params)]
    opt = optim.SGD(specs, lr=0.5, momentum=0.9) if optimizer == "SGD" else optim.Adam(specs, lr=0.5)
    schedule = make_schedule(opt)
    momentum = lambda: [g.get("momentum", g.get("betas", [None])[0]) for g in opt.param_groups]
    rates, momenta = [schedule.get_last_lr()], [momentum()]
    for step in range(steps):
        opt.step()
        schedule.step(metrics[step]) if metrics else schedule.step()
        rates.append(schedule.get_last_lr())
        momenta.append(momentum())
    return {"rates": [[float(r) for r in row] for row in rates], "momenta": momenta, "keys": sorted(schedule.state_dict())}


METRICS = [1.0, 0.9, 0.9, 0.89995, 0.95, 0.8, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]
SCHEDULES = {
    "StepLR": lambda: sequence(lambda o: S.StepLR(o, 3, gamma=0.3), 12),
    "MultiStepLR": lambda: sequence(lambda o: S.MultiStepLR(o, [2, 5, 5, 8], gamma=0.5), 12),
    "ExponentialLR": lambda: sequence(lambda o: S.ExponentialLR(o, 0.9), 12),
    "CosineAnnealingLR": lambda: sequence(lambda o: S.CosineAnnealingLR(o, 5, eta_min=0.01), 23),
    "LinearLR": lambda: sequence(lambda o: S.LinearLR(o, start_factor=0.1, end_factor=0.8, total_iters=4), 8),
    "LambdaLR": lambda: sequence(lambda o: S.LambdaLR(o, [lambda e: 0.95**e, lambda e: 1 / (1 + e)]), 6),
    "OneCycleLR": lambda: sequence(lambda o: S.OneCycleLR(o, 0.1, total_steps=10), 9),
    "OneCycleLR three phases": lambda: sequence(
        lambda o: S.OneCycleLR(o, [0.1, 0.2], epochs=4, steps_per_epoch=5, pct_start=0.25, anneal_strategy="linear", three_phase=True,
                               base_momentum=0.8, max_momentum=0.9, div_factor=10, final_div_factor=100), 19, optimizer="Adam"),
    "SequentialLR": lambda: sequence(
        lambda o: S.SequentialLR(o, [S.LinearLR(o, start_factor=0.1, total_iters=4), S.ExponentialLR(o, 0.8), S.CosineAnnealingLR(o, 5)], [4, 7]), 15),
    "SequentialLR lambda": lambda: sequence(
        lambda o: S.SequentialLR(o, [S.StepLR(o, 2), S.LambdaLR(o, lambda e: 1 / (2 + e))], [3]), 8),
    "MultiplicativeLR": lambda: sequence(lambda o: S.MultiplicativeLR(o, [lambda e: 0.95, lambda e: 1 / (1 + e)]), 6),
    "ConstantLR": lambda: sequence(lambda o: S.ConstantLR(o, factor=0.3, total_iters=4), 8),
    "PolynomialLR": lambda: sequence(lambda o: S.PolynomialLR(o, total_iters=6, power=1.7), 9),
    "CosineAnnealingWarmRestarts": lambda: sequence(lambda o: S.CosineAnnealingWarmRestarts(o, 3, T_mult=2, eta_min=0.01), 23),
    "CyclicLR": lambda: sequence(lambda o: S.CyclicLR(o, 0.01, [0.1, 0.2], step_size_up=3, step_size_down=4, mode="triangular2"), 20),
    "CyclicLR expRange": lambda: sequence(
        lambda o: S.CyclicLR(o, 0.01, 0.1, step_size_up=3, mode="exp_range", gamma=0.9, base_momentum=0.7, max_momentum=[0.8, 0.95]), 20, optimizer="Adam"),
    "CyclicLR scaleFn": lambda: sequence(
        lambda o: S.CyclicLR(o, 0.01, 0.1, step_size_up=3, scale_fn=lambda x: 1 / (1 + x), scale_mode="iterations", cycle_momentum=False), 20),
    "ChainedScheduler": lambda: sequence(
        lambda o: S.ChainedScheduler([S.ConstantLR(o, factor=0.1, total_iters=4), S.ExponentialLR(o, 0.9)]), 10),
    "SequentialLR restarts": lambda: sequence(
        lambda o: S.SequentialLR(o, [S.PolynomialLR(o), S.ConstantLR(o, total_iters=2), S.MultiplicativeLR(o, lambda e: 0.9)], [3, 7]), 12),
    "SWALR": lambda: sequence(lambda o: optim.swa_utils.SWALR(o, [0.05, 0.2], anneal_epochs=4), 8),
    "SWALR linear": lambda: sequence(lambda o: optim.swa_utils.SWALR(o, 0.05, anneal_epochs=3, anneal_strategy="linear"), 8),
    "SWALR at once": lambda: sequence(lambda o: optim.swa_utils.SWALR(o, 0.05, anneal_epochs=0), 3),
    "ReduceLROnPlateau": lambda: sequence(lambda o: S.ReduceLROnPlateau(o, factor=0.5, patience=2, cooldown=1), 20, metrics=METRICS),
    "ReduceLROnPlateau max abs": lambda: sequence(
        lambda o: S.ReduceLROnPlateau(o, mode="max", factor=0.1, patience=1, threshold=0.06, threshold_mode="abs", min_lr=[0.01, 0.001]), 20, metrics=METRICS),
}


def clipped():
    cases = []
    for norm_type in (2.0, 1.0, 3.5, float("inf")):
        for max_norm in (0.5, 1000.0):
            params = [torch.nn.Parameter(torch.zeros(shape)) for shape in SHAPES]
            set_gradients(params, 0, torch.float32)
            norm = torch.nn.utils.clip_grad_norm_(params, max_norm, norm_type=norm_type)
            cases.append({"normType": "inf" if norm_type == float("inf") else norm_type, "maxNorm": max_norm,
                          "norm": norm.item(), "grads": raw([p.grad for p in params])})
    return cases


out = {
    "trajectories": [trajectory(name, options, dtype) for name, options in SETTINGS for dtype in (torch.float32, torch.float64)],
    "saved": [saved("SGD", {"lr": 0.1, "momentum": 0.9}), saved("Adam", {"lr": 0.05, "amsgrad": True}), saved("AdamW", {}),
              saved("RMSprop", {"momentum": 0.5, "centered": True}), saved("Adagrad", {"initialAccumulatorValue": 0.5}),
              saved("Adadelta", {}), saved("Adamax", {}), saved("NAdam", {}), saved("RAdam", {"lr": 0.05}), saved("Rprop", {}),
              saved("ASGD", {"t0": 1}), saved("Adafactor", {}), saved("Muon", {"adjustLrFn": "matchRmsAdamw"}),
              saved("LBFGS", {"lr": 0.1, "maxIter": 3}), saved("LBFGS", {"maxIter": 3, "lineSearchFn": "strongWolfe"})],
    "schedules": {name: run() for name, run in SCHEDULES.items()},
    "metrics": METRICS,
    "clipped": clipped(),
}
path = pathlib.Path(__file__).with_name("optim.golden.json")
path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
