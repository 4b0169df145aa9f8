// Lists the activation layers, in Python, for nn_golden.py: npx tsx test/golden/nn_cases.ts
import '../../src/index.ts';
import { madeLayers } from '../cases/unary.ts';

const listed = (kind: 'forward' | 'printed') =>
  Object.fromEntries(madeLayers(kind).map(({ key, python }) => [key, python]));
console.log(JSON.stringify({ forward: listed('forward'), printed: listed('printed') }));
