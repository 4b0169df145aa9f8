"""Writes random.golden.json: what PyTorch's CPU generator draws, for test/random.test.ts.

Run: python test/golden/random_golden.py   (made with PyTorch 2.13.0, CPU capability AVX512 / AVX2 kernels)
Each case is one generator and a list of calls on it. Values are base64 of little-endian arrays; long ones only a SHA-256.
"""

import base64
import hashlib
import json
import pathlib

import warnings

import torch

warnings.simplefilter("ignore")  # float randint beyond 2^24 warns that it is coarse; that it matches is the point

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "int64": torch.int64,
    "int32": torch.int32,
    "uint8": torch.uint8,
}


class Recorder:
    def __init__(self, seed):
        self.gen = torch.Generator()
        if seed is not None:
            self.gen.manual_seed(seed)
        self.case = {"seed": None if seed is None else str(seed), "calls": []}

    def add(self, op, tensor, hashed=False, **arguments):
        raw = tensor.contiguous().numpy().tobytes()
        call = {"op": op, "dtype": str(tensor.dtype)[6:], "n": tensor.numel(), **arguments}
        if hashed:
            call["sha256"] = hashlib.sha256(raw).hexdigest()
        else:
            call["data"] = base64.b64encode(raw).decode()
        self.case["calls"].append(call)
        return self

    def uniform(self, n, dtype="float32", low=0.0, high=1.0, hashed=False):
        t = torch.empty(n, dtype=DTYPES[dtype]).uniform_(low, high, generator=self.gen)
        return self.add("uniform", t, hashed, low=low, high=high)

    def normal(self, n, dtype="float32", mean=0.0, std=1.0, hashed=False):
        t = torch.empty(n, dtype=DTYPES[dtype]).normal_(mean, std, generator=self.gen)
        return self.add("normal", t, hashed, mean=mean, std=std)

    def randint(self, n, low, high, dtype="int64", hashed=False):
        t = torch.randint(low, high, (n,), dtype=DTYPES[dtype], generator=self.gen)
        return self.add("randint", t, hashed, low=str(low), high=str(high))

    def random_int64(self):
        return self.add("randomInt64", torch.empty((), dtype=torch.int64).random_(generator=self.gen))

    def randperm(self, n, hashed=False):
        return self.add("randperm", torch.randperm(n, dtype=torch.int32, generator=self.gen), hashed)

    def bernoulli(self, n, p, dtype="float32"):
        t = torch.empty(n, dtype=DTYPES[dtype]).bernoulli_(p, generator=self.gen)
        return self.add("bernoulli", t, p=p)

    def bernoulli_each(self, p, dtype):
        t = torch.bernoulli(torch.tensor(p, dtype=DTYPES[dtype]), generator=self.gen)
        return self.add("bernoulli", t, p=p)

    def exponential(self, n, rate, dtype):
        t = torch.empty(n, dtype=DTYPES[dtype]).exponential_(rate, generator=self.gen)
        return self.add("exponential", t, rate=rate)

    def trunc_normal(self, n, mean, std, a, b, dtype="float32"):
        t = torch.empty(n, dtype=DTYPES[dtype])
        torch.nn.init.trunc_normal_(t, mean, std, a, b, generator=self.gen)
        return self.add("truncNormal", t, mean=mean, std=std, a=a, b=b)

    def multinomial(self, weights, count, replacement, dtype):
        w = torch.tensor(weights, dtype=DTYPES[dtype])
        t = torch.multinomial(w, count, replacement, generator=self.gen).to(torch.int32)
        return self.add("multinomial", t, weights=weights, weightType=dtype, replacement=replacement)

    def state(self):
        return self.add("state", self.gen.get_state())


def main():
    cases = []
    seeds = [None, 0, 1, 42, 2**32 - 1, 2**32, 2**32 + 7, 2**40 + 123, 67280421310721, 2**63 - 1, -1, 2**64 - 1]
    for seed in seeds:
        cases.append(Recorder(seed).uniform(5).normal(3).random_int64().randint(4, 0, 10).randperm(10).state())

    sizes = [1, 2, 5, 15, 16, 17, 31, 32, 33, 100, 1000]
    for n in sizes:
        for dtype in ("float32", "float64"):
            cases.append(
                Recorder(1000 + n)
                .normal(n, dtype)
                .normal(n, dtype, -0.7, 0.03)
                .uniform(n, dtype)
                .uniform(n, dtype, -0.3, 0.77)
            )
    cases.append(Recorder(3).normal(1).normal(2).uniform(1).normal(20).normal(1).normal(4, "float64").state())
    cases.append(Recorder(4).normal(3, mean=2.5, std=0.0).normal(18, mean=2.5, std=0.0).normal(0).uniform(0).randint(0, 0, 5))
    cases.append(
        Recorder(5)
        .uniform(100003, hashed=True)
        .uniform(100003, "float64", hashed=True)
        .uniform(100003, low=-0.044194173, high=0.044194173, hashed=True)
        .uniform(100003, "float64", low=-0.044194173, high=0.044194173, hashed=True)
        .uniform(100003, low=1e-3, high=1e4, hashed=True)
        .uniform(100003, "float64", low=-1e-3, high=1e4, hashed=True)
        .uniform(50, low=0.0, high=1.0 + 2**-22)
        .normal(100003, hashed=True)
        .normal(100003, mean=0.5, std=0.02, hashed=True)
    )
    ints = Recorder(6)
    for low, high in [(0, 2), (0, 10), (-5, 5), (0, 2**27), (0, 2**28 - 1), (0, 2**28), (-(2**30), 2**30), (0, 2**31 - 1), (-(2**30) - 9, 2**29 + 3)]:
        for dtype in ("int64", "int32", "float32", "float64"):
            ints.randint(17, low, high, dtype)
    ints.randint(9, 3, 256, "uint8").randint(40, 0, 2**40).randint(40, -(2**62), 2**62).randint(40, -(2**63), 2**63 - 1)
    ints.randint(100003, 0, 1000, hashed=True)
    cases.append(ints)

    perms = Recorder(7)
    for n in [0, 1, 2, 3, 10, 100, 1000]:
        perms.randperm(n)
    cases.append(perms.randperm(50000, hashed=True).randperm(60000, hashed=True).random_int64())

    flips = Recorder(8).bernoulli(100, 0.3).bernoulli(33, 0.5, "float64").bernoulli(20, 0.9, "uint8").bernoulli(4, 0.0)
    flips.bernoulli(4, 1.0).bernoulli(1000, 0.25, "int32")
    flips.bernoulli_each([0.1, 0.5, 0.9] * 20, "float32").bernoulli_each([0.1, 0.5, 0.9] * 20, "float64")
    cases.append(flips.exponential(40, 1.0, "float32").exponential(40, 2.5, "float64").random_int64())

    for dtype in ("float32", "float64"):
        cases.append(
            Recorder(9)
            .trunc_normal(10, 0.0, 1.0, -2.0, 2.0, dtype)
            .trunc_normal(500, 0.0, 0.02, -0.04, 0.04, dtype)
            .trunc_normal(200, 0.1, 1.0, 0.0, 1.0, dtype)
            .trunc_normal(200, 0.0, 1.0, 1.0, 3.0, dtype)
            .trunc_normal(64, 0.0, 1.0, -0.1, 0.2, dtype)
            .trunc_normal(5, 0.0, 1.0, -0.01, 0.01, dtype)
            .random_int64()
        )
        weights = [0.1, 0.9, 0.4, 0.7, 3.0, 0.6, 0.0, 12.0]
        many = [((i * 37) % 101) / 7 for i in range(300)]
        cases.append(
            Recorder(10)
            .multinomial(weights, 50, True, dtype)
            .multinomial(weights, 7, False, dtype)
            .multinomial(weights, 1, True, dtype)
            .multinomial(weights, 1, False, dtype)
            .multinomial(many, 200, True, dtype)
            .multinomial(many, 200, False, dtype)
            .random_int64()
        )

    document = {"torch": torch.__version__, "capability": torch.backends.cpu.get_cpu_capability()}
    document["cases"] = [recorder.case for recorder in cases]
    path = pathlib.Path(__file__).with_name("random.golden.json")
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")


main()
