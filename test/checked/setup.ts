// For `vitest run --mode checked`: both engines are checked from their first kernel on.
import { getEngine, setEngine } from '../../src/device/engine.ts';
import { addressBackend } from '../support/address_backend.ts';
import { checkBackend } from './check_backend.ts';

const first = getEngine();
for (const name of first === 'native' ? (['wasm', 'native'] as const) : (['wasm'] as const)) {
  setEngine(name);
  checkBackend(addressBackend());
}
