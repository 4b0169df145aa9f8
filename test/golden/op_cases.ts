// Lists the cases with their input values for op_golden.py: npx tsx test/golden/op_cases.ts
import { valuesOf } from '../cases/inputs.ts';
import { cases } from '../cases/table.ts';

const listed = cases
  .filter(({ torch }) => torch)
  .map(({ name, torch, inputs }) => ({
    key: `${name} | ${torch}`,
    torch,
    inputs: inputs.map((input, k) => ({
      shape: input.shape,
      kind: input.integer ? 'int64' : input.bool ? 'bool' : 'float64',
      grad: !(input.integer || input.bool || input.constant),
      data: valuesOf(input, k),
    })),
  }));
console.log(JSON.stringify(listed));
