"""Writes data_loader.golden.json: the order in which PyTorch's loaders and samplers read, for test/data/data_loader.test.ts.

Run: python test/golden/data_loader_golden.py   (made with PyTorch 2.13.0)
Each case seeds the default generator, or gives one of its own, iterates for some epochs, and ends with a draw that shows
where the generator stands.
"""

import json
import pathlib

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    random_split,
)
from torch.utils.data.distributed import DistributedSampler


def loader_case(n, seed, epochs, own=False, stop_after=None, **options):
    """stop_after: leave each epoch after that many batches."""
    torch.manual_seed(seed)
    gen = torch.Generator().manual_seed(seed) if own else None
    kwargs = {"batch_size": options["batchSize"], "shuffle": options["shuffle"], "drop_last": options["dropLast"]}
    loader = DataLoader(list(range(n)), generator=gen, collate_fn=lambda x: x, **kwargs)
    result = []
    for _ in range(epochs):
        batches = []
        for batch in loader:
            batches.append(batch)
            if stop_after is not None and len(batches) == stop_after:
                break
        result.append(batches)
    after = torch.randint(0, 10**6, (1,), generator=gen).item()
    return {
        "n": n, "seed": seed, "own": own, "stopAfter": stop_after, "options": options,
        "length": len(loader), "epochs": result, "after": after,
    }


def sampler_case(kind, seed, epochs, own, arguments):
    torch.manual_seed(seed)
    gen = torch.Generator().manual_seed(seed) if own else None
    a = arguments
    if kind == "random":
        sampler = RandomSampler(range(a["n"]), a["replacement"], a["numSamples"], gen)
    elif kind == "subset":
        sampler = SubsetRandomSampler(a["indices"], gen)
    elif kind == "weighted":
        sampler = WeightedRandomSampler(a["weights"], a["numSamples"], a["replacement"], gen)
    else:
        sampler = BatchSampler(SequentialSampler(range(a["n"])), a["batchSize"], a["dropLast"])
    orders = [list(sampler) for _ in range(epochs)]
    after = torch.randint(0, 10**6, (1,), generator=gen).item()
    return {"kind": kind, "seed": seed, "own": own, "arguments": a, "length": len(sampler), "epochs": orders, "after": after}


def main():
    loaders = []
    for n, size in [(10, 3), (12, 4), (7, 7), (1, 1), (50, 8), (5, 10)]:
        for own in (False, True):
            for drop_last in (False, True):
                loaders.append(loader_case(n, 40 + n, 3, own, batchSize=size, shuffle=True, dropLast=drop_last))
    loaders.append(loader_case(10, 5, 2, batchSize=4, shuffle=False, dropLast=False))
    loaders.append(loader_case(10, 5, 2, True, batchSize=4, shuffle=False, dropLast=True))
    loaders.append(loader_case(20, 6, 3, False, 2, batchSize=4, shuffle=True, dropLast=False))
    loaders.append(loader_case(20, 6, 3, True, 2, batchSize=4, shuffle=True, dropLast=False))
    loaders.append(loader_case(20, 6, 3, True, 5, batchSize=4, shuffle=True, dropLast=False))
    loaders.append(loader_case(9, 2**40 + 3, 2, batchSize=None, shuffle=True, dropLast=False))

    samplers = []
    for own in (False, True):
        for n, count, replacement in [(10, None, False), (10, 25, False), (10, 20, False), (10, 4, False),
                                      (10, None, True), (7, 70, True), (100, 64, True)]:
            arguments = {"n": n, "numSamples": count, "replacement": replacement}
            samplers.append(sampler_case("random", 3, 2, own, arguments))
        samplers.append(sampler_case("subset", 4, 2, own, {"indices": [9, 2, 7, 7, 30, 1]}))
        weights = [0.1, 0.9, 0.4, 0.7, 3.0, 0.6]
        for count, replacement in [(5, True), (5, False), (1, True), (40, True)]:
            arguments = {"weights": weights, "numSamples": count, "replacement": replacement}
            samplers.append(sampler_case("weighted", 5, 2, own, arguments))
    for n, size, drop_last in [(10, 3, False), (10, 3, True), (9, 3, False), (9, 3, True), (2, 3, True), (0, 3, False)]:
        samplers.append(sampler_case("batch", 0, 1, False, {"n": n, "batchSize": size, "dropLast": drop_last}))

    splits = []
    for n, lengths in [(10, [3, 7]), (30, [0.3, 0.3, 0.4]), (10, [0.33, 0.33, 0.34]), (7, [0.5, 0.5]), (11, [0.1] * 9 + [0.1])]:
        for own in (False, True):
            torch.manual_seed(42)
            gen = torch.Generator().manual_seed(17) if own else torch.default_generator
            parts = [list(part.indices) for part in random_split(range(n), lengths, gen)]
            splits.append({"n": n, "lengths": lengths, "own": own, "parts": parts})

    distributed = []
    for n, replicas in [(10, 3), (2, 5), (3, 8), (12, 4), (0, 2), (100, 7)]:
        for shuffle in (False, True):
            for drop_last in (False, True):
                ranks = []
                for rank in range(replicas):
                    sampler = DistributedSampler(range(n), replicas, rank, shuffle, 7, drop_last)
                    epochs = []
                    for epoch in range(2):
                        sampler.set_epoch(epoch)
                        epochs.append(list(sampler))
                    ranks.append({"length": len(sampler), "epochs": epochs})
                distributed.append({"n": n, "numReplicas": replicas, "shuffle": shuffle, "dropLast": drop_last, "ranks": ranks})

    document = {"torch": torch.__version__, "loaders": loaders, "samplers": samplers, "splits": splits, "distributed": distributed}
    path = pathlib.Path(__file__).with_name("data_loader.golden.json")
    path.write_text(json.dumps(document, separators=(",", ":")) + "\n")


main()
