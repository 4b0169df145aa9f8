"""The same as all_reduce_ranks.ts, by torch.distributed over gloo: two processes, one thread each. Prints JSON."""
import json
import os
import statistics
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

SIZES = [(40, 2000), (40_000, 1000), (4_000_000, 100), (100_000_000, 10)]


def run(rank: int) -> None:
    world_size = 2
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world_size)
    microseconds = {}
    for size, runs in SIZES:
        x = torch.full((size // 4,), 1e-3)
        times = []
        for i in range(-(runs // 10), runs):
            dist.barrier()
            start = time.perf_counter()
            # gloo has no mean.
            dist.all_reduce(x)
            x.div_(world_size)
            if i >= 0:
                times.append((time.perf_counter() - start) * 1e6)
        microseconds[size] = statistics.median(times)
    if rank == 0:
        print("RESULT " + json.dumps({"microseconds": microseconds, "version": torch.__version__}))
    dist.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29517")
    mp.spawn(run, nprocs=2)
