// Lists the cases with their input values for op_golden.py: npx tsx test/golden/op_cases.ts
import { forTorch } from '../cases/inputs.ts';
import { cases } from '../cases/table.ts';

console.log(JSON.stringify(cases.filter(({ torch }) => torch).map(forTorch)));
