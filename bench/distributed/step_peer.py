"""The same as step_ranks.ts, by DistributedDataParallel over gloo: two processes, one thread each, in the faster memory format. Prints JSON."""
import json
import os
import statistics
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../peers"))
from torch_models import NETWORKS  # noqa: E402

WORLD_SIZE = 2


def milliseconds(network, shape, classes, layout, seconds):
    model = NETWORKS[network](classes).to(memory_format=layout)
    model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x = torch.randn(shape)
    if x.dim() == 4:
        x = x.to(memory_format=layout)
    labels = torch.randint(0, classes, shape[:1])

    def times(count):
        dist.barrier()
        taken = []
        for _ in range(count):
            start = time.perf_counter()
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), labels).backward()
            optimizer.step()
            taken.append((time.perf_counter() - start) * 1e3)
        return taken

    times(2)
    estimate = torch.tensor(max(times(2)))
    dist.all_reduce(estimate, op=dist.ReduceOp.MAX)
    return statistics.median(times(max(3, round(seconds * 1000 / estimate.item()))))


def run(rank, work, seconds):
    torch.set_num_threads(1)
    torch.manual_seed(rank)
    dist.init_process_group("gloo", rank=rank, world_size=WORLD_SIZE)
    network, shape, classes = work.split(":")
    shape = [int(d) for d in shape.split("x")]
    shape[0] //= WORLD_SIZE
    layouts = [torch.contiguous_format, torch.channels_last] if len(shape) == 4 else [torch.contiguous_format]
    ms = min(milliseconds(network, shape, int(classes), layout, seconds / len(layouts)) for layout in layouts)
    if rank == 0:
        print("RESULT " + json.dumps({"ms": ms, "version": torch.__version__}))
    dist.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29519")
    mp.spawn(run, nprocs=WORLD_SIZE, args=(sys.argv[1], float(sys.argv[2])))
