"""What torch.multinomial and torch.normal draw: python test/golden/choices_golden.py > test/golden/choices.golden.json"""

import json

import torch

WEIGHTS = {"float32": torch.tensor([0.1, 3.0, 0.0, 2.5, 1.25, 0.75]), "float64": torch.tensor([[1.0, 2, 3], [4, 0, 0.5]]).double()}


def drawn(seed, call):
    torch.manual_seed(seed)
    return call().tolist()


print(
    json.dumps(
        {
            "multinomial": [
                {"dtype": dtype, "weights": w.tolist(), "samples": n, "replacement": replacement, "drawn": drawn(7, lambda: torch.multinomial(w, n, replacement))}
                for dtype, w in WEIGHTS.items()
                for n in (1, 2, 5, 40)
                for replacement in (False, True)
                if replacement or n <= torch.count_nonzero(w, -1).min()
            ],
            "normal": [
                drawn(3, lambda: torch.normal(torch.arange(20.0).reshape(4, 5), torch.linspace(0.1, 2, 5))),
                drawn(3, lambda: torch.normal(2.0, torch.linspace(0.1, 2, 5))),
                drawn(3, lambda: torch.normal(1.5, 0.5, (3, 7))),
            ],
        }
    )
)
