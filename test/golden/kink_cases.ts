// Lists the cases with their input values for kink_golden.py: npx tsx test/golden/kink_cases.ts
import '../../src/index.ts';
import { encode, kinks } from '../cases/kinks.ts';

const dtypes = ['float32', 'float64'] as const;
console.log(
  JSON.stringify(
    kinks.flatMap(({ torch, inputs }) =>
      dtypes.map((dtype) => ({
        torch,
        dtype,
        inputs: inputs(dtype).map((input) => ({ ...input, data: input.data.map(encode) })),
      })),
    ),
  ),
);
