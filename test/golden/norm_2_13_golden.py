"""Writes norm_2_13.golden.json: what PyTorch 2.13 does in the layers beside batch norm, where norm_golden.json (1.13) cannot say it.

Run: python test/golden/norm_2_13_golden.py   (made with PyTorch 2.13.0)
Inputs follow the rule of norm_golden.json; see golden_rule.py.
"""

import json
import pathlib
import warnings

import torch
from torch import nn, ones
from torch.nn import functional as F

from golden_rule import det, plain

warnings.simplefilter("ignore")


# ---- layers: outputs, gradients and buffers ----------------------------------------------------------------------------------
# class, positional arguments, keyword arguments, shape of x
LAYERS = [
    *[("RMSNorm", [shape[-2:] if len(shape) > 2 else [5]], dict(eps=eps, elementwise_affine=affine), shape)
      for shape in ([3, 5], [4, 2, 3]) for eps in (None, 1e-3) for affine in (True, False)],
    ("RMSNorm", [3], dict(), [3]),
    ("LayerNorm", [5], dict(bias=False), [3, 5]),
    ("LayerNorm", [5], dict(elementwise_affine=False), [2, 2, 5]),
    ("LayerNorm", [[3, 2, 4]], dict(), [2, 3, 2, 4]),
    ("LayerNorm", [[3]], dict(), [3]),
    ("LayerNorm", [1], dict(), [4, 1]),
    *[("GroupNorm", [groups, 6], dict(eps=1e-3), shape) for groups in (1, 2, 6)
      for shape in ([3, 6], [2, 6, 5], [2, 6, 3, 2], [2, 6, 2, 2, 2])],
    ("GroupNorm", [3, 6], dict(affine=False), [2, 6, 4]),
    ("GroupNorm", [3, 6], dict(bias=False), [2, 6, 4]),
    *[(f"InstanceNorm{dims}d", [2], dict(affine=True, track_running_stats=True, momentum=momentum), [*batch, 2, *[4, 3, 2][:dims]])
      for dims in (1, 2, 3) for batch in ([], [3]) for momentum in (0.1, None)],
    ("InstanceNorm2d", [2], dict(), [3, 2, 4, 3]),
    ("InstanceNorm2d", [2], dict(affine=True, bias=False), [2, 4, 3]),
    *[("LocalResponseNorm", [size], dict(alpha=0.3, beta=0.6, k=1.5), shape) for size in (1, 2, 5, 8, 13)
      for shape in ([2, 6, 3], [2, 6, 3, 2], [1, 3, 2, 2, 2], [1, 3, 2, 1, 2, 2])],
    ("LocalResponseNorm", [3], dict(), [2, 5, 3]),
    *[("CrossMapLRN2d", [size], dict(alpha=0.3, beta=0.6, k=1.5), [2, channels, 3, 2])
      for size in (1, 2, 3, 4, 5, 8) for channels in (1, 4, 9)],
]


def layer(cls, args, kwargs, shape, training):
    parametric = {} if "LRN" in cls or "Response" in cls else dict(dtype=torch.float64)
    module = getattr(nn, cls)(*args, **kwargs, **parametric).train(training)
    with torch.no_grad():
        for seed, tensor in enumerate([*module.parameters(), *module.buffers()]):
            if tensor.is_floating_point():
                tensor.copy_(det(tensor.shape, 50 + seed).abs() + 0.5)
    init = {name: plain(tensor) for name, tensor in module.state_dict().items()}
    x = det(shape, 1).requires_grad_()
    y = module(x)
    # The backward of CrossMapLRN2d is that of another formula, and fails for some sizes.
    if cls != "CrossMapLRN2d":
        y.backward(det(shape, 2))
    return dict(
        cls=cls, args=args, kwargs=kwargs, shape=shape, training=training, init=init, y=plain(y), dx=plain(x.grad),
        grads={name: plain(p.grad) for name, p in module.named_parameters()},
        after={name: plain(tensor) for name, tensor in module.named_buffers()},
    )


layers = []
for cls, args, kwargs, shape in LAYERS:
    for training in (True, False) if kwargs.get("track_running_stats") else (True,):
        layers.append(layer(cls, args, kwargs, shape, training))

# The default eps of RMSNorm is the dtype's.
tiny = [1e-5, 2e-5, -3e-5]
rms = {str(dtype)[6:]: F.rms_norm(torch.tensor(tiny, dtype=dtype) * scale, [3]).tolist()
       for dtype, scale in ((torch.float32, 1), (torch.float64, 1e-4))}

# ---- texts: errors of calls, by the name that the tests give them ------------------------------------------------------------
CALLS = {
    "groupNorm: rank 1": lambda: F.group_norm(ones(3), 1),
    "groupNorm: one value": lambda: F.group_norm(ones(1, 4), 4),
    "groupNorm: groups -1": lambda: F.group_norm(ones(2, 4, 3), -1),
    "groupNorm: groups 2.5": lambda: F.group_norm(ones(2, 4, 3), 2.5),
    "groupNorm: eps null": lambda: F.group_norm(ones(2, 4, 3), 2, eps=None),
    "groupNorm: channels": lambda: F.group_norm(ones(2, 5, 3), 2, ones(3)),
    "groupNorm: weight": lambda: F.group_norm(ones(2, 4, 3), 2, ones(3), ones(3)),
    "groupNorm: weight of rank 2": lambda: F.group_norm(ones(2, 4, 3), 2, ones(1, 4)),
    "groupNorm: bias": lambda: F.group_norm(ones(2, 4, 3), 2, ones(4), ones(5)),
    "groupNorm: bias without weight": lambda: F.group_norm(ones(2, 4, 3), 2, None, ones(5)),
    "groupNorm: int64": lambda: F.group_norm(ones(2, 4).long(), 2),
    "groupNorm: float64 weight": lambda: F.group_norm(ones(2, 4), 2, ones(4).double()),
    "groupNorm: float64 input": lambda: F.group_norm(ones(2, 4).double(), 2, ones(4)),
    "GroupNorm(3, 4)": lambda: nn.GroupNorm(3, 4),
    "GroupNorm(2, -4)": lambda: nn.GroupNorm(2, -4),
    "GroupNorm(-2, 4), called": lambda: nn.GroupNorm(-2, 4)(ones(2, 4, 3)),
    "GroupNorm(2, 4), 6 channels": lambda: nn.GroupNorm(2, 4)(ones(2, 6, 3)),
    "layerNorm: no shape": lambda: F.layer_norm(ones(2, 3), [], ones(2)),
    "layerNorm: weight": lambda: F.layer_norm(ones(2, 4), [3], ones(2), ones(2)),
    "layerNorm: bias": lambda: F.layer_norm(ones(2, 4), [3], ones(3), ones(1, 3)),
    "layerNorm: input": lambda: F.layer_norm(ones(2, 4), [3]),
    "layerNorm: input of rank 0": lambda: F.layer_norm(ones(()), [1]),
    "layerNorm: more dimensions": lambda: F.layer_norm(ones(3), [2, 3]),
    "layerNorm: a number": lambda: F.layer_norm(ones(2, 3), 3),
    "layerNorm: eps null": lambda: F.layer_norm(ones(2, 3), [3], eps=None),
    "layerNorm: int64": lambda: F.layer_norm(ones(2, 3).long(), [3]),
    "layerNorm: float64 weight": lambda: F.layer_norm(ones(2, 3), [3], ones(3).double()),
    "LayerNorm([]), called": lambda: nn.LayerNorm([])(ones(2, 3)),
    "LayerNorm(-1)": lambda: nn.LayerNorm(-1),
    "rmsNorm: no shape": lambda: F.rms_norm(ones(2, 3), []),
    "rmsNorm: weight": lambda: F.rms_norm(ones(2, 4), [3], ones(2)),
    "rmsNorm: a number": lambda: F.rms_norm(ones(2, 3), 3),
    "rmsNorm: int64": lambda: F.rms_norm(ones(2, 3).long(), [3]),
    "instanceNorm: one value": lambda: F.instance_norm(ones(2, 3, 1)),
    "instanceNorm: rank 2": lambda: F.instance_norm(ones(2, 3)),
    "instanceNorm: rank 0": lambda: F.instance_norm(ones(())),
    "instanceNorm: no statistics": lambda: F.instance_norm(ones(2, 3, 4), use_input_stats=False),
    "instanceNorm: no variance": lambda: F.instance_norm(ones(2, 3, 4), ones(3), None, use_input_stats=False),
    "instanceNorm: half of the statistics": lambda: F.instance_norm(ones(2, 3, 4), ones(3), None),
    "instanceNorm: momentum null": lambda: F.instance_norm(ones(2, 3, 4), momentum=None),
    "instanceNorm: eps null": lambda: F.instance_norm(ones(2, 3, 4), eps=None),
    "instanceNorm: running_mean": lambda: F.instance_norm(ones(2, 5, 4), ones(3), ones(2), ones(4)),
    "instanceNorm: running_var": lambda: F.instance_norm(ones(2, 3, 4), ones(3), ones(2), ones(4)),
    "instanceNorm: weight": lambda: F.instance_norm(ones(2, 5, 4), None, None, ones(3), ones(4)),
    "instanceNorm: bias": lambda: F.instance_norm(ones(2, 5, 4), None, None, None, ones(3)),
    "instanceNorm: int64": lambda: F.instance_norm(ones(2, 3, 4).long()),
    "instanceNorm: float64 weight": lambda: F.instance_norm(ones(2, 3, 4), None, None, ones(3).double()),
    "instanceNorm: statistics with gradients": lambda: F.instance_norm(ones(2, 3, 4), ones(3).requires_grad_(), ones(3)),
    "InstanceNorm1d: rank 4": lambda: nn.InstanceNorm1d(3)(ones(2, 3, 4, 5)),
    "InstanceNorm2d: rank 2": lambda: nn.InstanceNorm2d(3)(ones(3, 4)),
    "InstanceNorm3d: rank 3": lambda: nn.InstanceNorm3d(3)(ones(3, 4, 5)),
    "InstanceNorm2d: affine, channels": lambda: nn.InstanceNorm2d(3, affine=True)(ones(2, 5, 4, 4)),
    "InstanceNorm2d: affine, channels of an unbatched input": lambda: nn.InstanceNorm2d(3, affine=True)(ones(5, 4, 4)),
    "InstanceNorm2d: tracking, channels": lambda: nn.InstanceNorm2d(3, track_running_stats=True)(ones(1, 5, 4, 4)),
    "InstanceNorm2d: one value, unbatched": lambda: nn.InstanceNorm2d(3)(ones(3, 1, 1)),
    "InstanceNorm2d: one value in evaluation": lambda: nn.InstanceNorm2d(3).eval()(ones(2, 3, 1, 1)),
    "InstanceNorm2d(-1, affine)": lambda: nn.InstanceNorm2d(-1, affine=True),
    "localResponseNorm: rank 2": lambda: F.local_response_norm(ones(2, 3), 2),
    "localResponseNorm: size 0": lambda: F.local_response_norm(ones(2, 3, 4), 0),
    "localResponseNorm: size -1, rank 4": lambda: F.local_response_norm(ones(2, 3, 4, 4), -1),
    "CrossMapLRN2d: rank 3": lambda: nn.CrossMapLRN2d(3)(ones(2, 3, 4)),
    "SyncBatchNorm: rank 1": lambda: nn.SyncBatchNorm(3)(ones(3)),
    "SyncBatchNorm: no channels": lambda: nn.SyncBatchNorm(0)(ones(3, 0)),
    "SyncBatchNorm: one value": lambda: nn.SyncBatchNorm(3)(ones(1, 3)),
    "LazyBatchNorm1d: rank 1": lambda: nn.LazyBatchNorm1d()(ones(3)),
    "LazyBatchNorm1d: rank 4": lambda: nn.LazyBatchNorm1d()(ones(2, 3, 4, 5)),
    "LazyBatchNorm1d: shape": lambda: nn.LazyBatchNorm1d().weight.shape,
    "LazyBatchNorm1d into BatchNorm1d": lambda: nn.BatchNorm1d(3).load_state_dict(nn.LazyBatchNorm1d().state_dict()),
    "LazyInstanceNorm2d: unbatched": lambda: nn.LazyInstanceNorm2d()(ones(3, 4, 4)),
    "LazyInstanceNorm2d: unbatched, not affine": lambda: nn.LazyInstanceNorm2d(affine=False)(ones(3, 4, 4)),
    "InstanceNorm2d: old state": lambda: nn.InstanceNorm2d(3).load_state_dict(
        {"running_mean": ones(3), "running_var": ones(3)}, strict=False),
    "InstanceNorm2d: half of an old state": lambda: nn.Sequential(nn.InstanceNorm2d(3)).load_state_dict({"0.running_var": ones(3)}),
    "BatchNorm2d(-1)": lambda: nn.BatchNorm2d(-1),
    "batchNorm: float64 weight": lambda: F.batch_norm(ones(2, 3), None, None, ones(3).double(), training=True),
    "batchNorm: float64 input": lambda: F.batch_norm(ones(2, 3).double(), None, None, ones(3), training=True),
    "batchNorm: rank 1": lambda: F.batch_norm(ones(3), None, None, training=True),
}


def failure(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001
        return {"type": type(error).__name__, "text": str(error)}
    raise AssertionError("no error")


texts = {name: failure(call) for name, call in CALLS.items()}

# ---- printed forms, keys and metadata ----------------------------------------------------------------------------------------
MODULES = {
    "BatchNorm2d": nn.BatchNorm2d(3),
    "BatchNorm1d odd": nn.BatchNorm1d(0, eps=-1.0, momentum=None, affine=False, track_running_stats=False),
    "BatchNorm3d": nn.BatchNorm3d(2, momentum=1e-20, bias=False),
    "SyncBatchNorm": nn.SyncBatchNorm(3, momentum=0.3),
    "InstanceNorm1d": nn.InstanceNorm1d(3),
    "InstanceNorm2d": nn.InstanceNorm2d(3, affine=True, bias=False),
    "InstanceNorm3d": nn.InstanceNorm3d(3, affine=True, track_running_stats=True),
    "LazyBatchNorm1d": nn.LazyBatchNorm1d(),
    "LazyBatchNorm2d": nn.LazyBatchNorm2d(affine=False),
    "LazyBatchNorm3d": nn.LazyBatchNorm3d(track_running_stats=False),
    "LazyInstanceNorm1d": nn.LazyInstanceNorm1d(),
    "LazyInstanceNorm2d": nn.LazyInstanceNorm2d(bias=False),
    "LazyInstanceNorm3d": nn.LazyInstanceNorm3d(affine=False, track_running_stats=False),
    "GroupNorm": nn.GroupNorm(2, 4),
    "GroupNorm odd": nn.GroupNorm(-2, 4, affine=False),
    "GroupNorm no bias": nn.GroupNorm(2, 4, eps=1.0, bias=False),
    "GroupNorm empty": nn.GroupNorm(2, 0),
    "LayerNorm": nn.LayerNorm(4),
    "LayerNorm empty": nn.LayerNorm([]),
    "LayerNorm no bias": nn.LayerNorm([2, 3], bias=False),
    "LayerNorm plain": nn.LayerNorm([2, 3], elementwise_affine=False),
    "RMSNorm": nn.RMSNorm(4),
    "RMSNorm plain": nn.RMSNorm([2, 3], eps=1e-6, elementwise_affine=False),
    "LocalResponseNorm": nn.LocalResponseNorm(2),
    "CrossMapLRN2d": nn.CrossMapLRN2d(3),
}
modules = {
    name: {
        "printed": str(module),
        "keys": list(module.state_dict().keys()),
        "metadata": module.state_dict()._metadata[""],
        "parameters": [name for name, _ in module.named_parameters()],
    }
    for name, module in MODULES.items()
}

out = {"generated_with": f"PyTorch {torch.__version__}", "layers": layers, "rms": rms, "texts": texts, "modules": modules}
path = pathlib.Path(__file__).with_name("norm_2_13.golden.json")
path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
print(path, path.stat().st_size)
