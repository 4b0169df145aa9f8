"""Lists what PyTorch has and documents, for conformance/coverage.ts:
    python3 conformance/torch_names.py > conformance/torch_names.json
Of the families that torch_cases.py draws from it has the same names; besides, the functions of torch that are documented,
and the methods that Tensor has beside them, without those that change it in place."""

import importlib.util
import json
import re

import torch
from torch_cases import listing


def documented(module, pattern):
    with open(importlib.util.find_spec(module).origin, encoding="utf8") as source:
        return set(re.findall(pattern, source.read()))


functions = documented("torch._torch_docs", r"add_docstr\(\s*torch\.(\w+)") | set(torch.functional.__all__)
functions = {n for n in functions if not isinstance(getattr(torch, n), type)}
methods = {n for n in documented("torch._tensor_docs", r'add_docstr_all\(\s*"(\w+)"') if not n.endswith("_")} - functions
families = listing()
print(
    json.dumps(
        {
            "version": torch.__version__,
            **{family: sorted(families[family]) for family in ("layers", "optimizers", "schedulers", "inits")},
            "functions": sorted(functions),
            "methods": sorted(methods),
        },
        indent=1,
    )
)
