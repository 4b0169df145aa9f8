// For `vitest run --mode checked`: both engines are checked from their first kernel on.
import { currentBackend, getEngine, setEngine } from '../../src/kernels/engine.ts';
import { checkBackend } from './check_backend.ts';

const first = getEngine();
for (const name of first === 'native' ? (['wasm', 'native'] as const) : (['wasm'] as const)) {
  setEngine(name);
  checkBackend(currentBackend());
}
