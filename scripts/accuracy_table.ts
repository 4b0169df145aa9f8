// Writes the table of docs/accuracy.md: our largest errors beside PyTorch's, on the same float32 data, both against
// float64 truth. Needs PyTorch: `EVENKEEL_PYTHON=… npx tsx scripts/accuracy_table.ts`.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import '../src/ops/methods.ts';
import {
  type AccuracyCase,
  accuracyCases,
  accuracyData,
  type Errors,
  errorsOf,
  groups,
  measureAccuracy,
  truthOf,
} from '../test/support/accuracy.ts';

const program = `
import base64, json, sys
import numpy as np, torch
from torch import nn
torch.set_num_threads(2)
cases = json.load(sys.stdin)
out = []
for case in cases["cases"]:
    shape = case["shape"]
    x = torch.from_numpy(np.frombuffer(base64.b64decode(case["x"]), dtype=np.float32).copy()).reshape(shape)
    if case["format"] == "channelsLast":
        x = x.to(memory_format=torch.channels_last)
    c = shape[1]
    module = {
        "BatchNorm": lambda: (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(c, momentum=1.0),
        "InstanceNorm": lambda: nn.InstanceNorm2d(c),
        "GroupNorm": lambda: nn.GroupNorm(cases["groups"], c),
        "LayerNorm": lambda: nn.LayerNorm(shape[1:]),
    }[case["layer"]]()
    with torch.no_grad():
        y = module(x).contiguous()
    stats = getattr(module, "running_var", None)
    out.append({"y": base64.b64encode(y.numpy().tobytes()).decode(), "var": None if stats is None else stats.tolist()})
print(json.dumps({"version": torch.__version__, "results": out}))
`;

const encode = (x: Float32Array): string => Buffer.from(x.buffer).toString('base64');
const input = { groups, cases: accuracyCases.map((one) => ({ ...one, x: encode(accuracyData(one)) })) };
const python = process.env.EVENKEEL_PYTHON ?? 'python3';
const run = spawnSync(python, ['-c', program], { input: JSON.stringify(input), encoding: 'utf8', maxBuffer: 1 << 28 });
if (run.status !== 0) throw new Error(`${python} could not run PyTorch:\n${run.stderr}`);
const theirs = JSON.parse(run.stdout) as { version: string; results: { y: string; var: number[] | null }[] };

const figure = (value: number | null): string => (value === null ? '' : value.toExponential(1));
const row = (one: AccuracyCase, ours: Errors, peer: Errors): string =>
  `| ${one.layer} (${one.shape.join(', ')}) | ${one.format} | ${one.mean} | ${figure(ours.y)} | ${figure(peer.y)} | ${figure(ours.runningVar)} | ${figure(peer.runningVar)} |`;

const rows = accuracyCases.map((one, i) => {
  const { y, var: variance } = theirs.results[i];
  const bytes = Buffer.from(y, 'base64');
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  return row(one, measureAccuracy(one), errorsOf(truthOf(one, accuracyData(one)), values, variance));
});

const page = new URL('../docs/accuracy.md', import.meta.url);
const [begin, end] = ['<!-- table: scripts/accuracy_table.ts -->', '<!-- end of table -->'];
const text = readFileSync(page, 'utf8');
const [head, tail] = [text.slice(0, text.indexOf(begin) + begin.length), text.slice(text.indexOf(end))];
const table = [
  `| layer | memory format | mean | max \\|y − truth\\| | PyTorch ${theirs.version.split('+')[0]} | running variance, relative | PyTorch |`,
  '| --- | --- | --- | --- | --- | --- | --- |',
  ...rows,
];
writeFileSync(page, `${head}\n${table.join('\n')}\n${tail}`);
