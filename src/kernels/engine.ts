// Which device new tensors live on. The native addon where there is one, WebAssembly elsewhere, chosen at the first use;
// EVENKEEL_ENGINE=native|wasm or setEngine() decide otherwise.
import { requireChoice, requireInteger } from '../checks.ts';
import { RuntimeError } from '../errors.ts';
import { hasNodeModules } from '../files/node.ts';
import { environment } from './addon_file.ts';
import type { Device, DeviceName } from './device.ts';
import { loadNative } from './native.ts';
import { WasmDevice } from './wasm.ts';

const devices: Partial<Record<DeviceName, Device>> = {};
let current: Device | null = null;

function open(name: DeviceName): Device {
  const known = devices[name];
  if (known) return known;
  if (name === 'wasm') return (devices.wasm = new WasmDevice());
  const { device, reason } = loadNative();
  if (!device) throw new RuntimeError(`[setEngine] the native engine is not available: ${reason}`);
  return (devices.native = device);
}

function choose(): Device {
  const wanted = environment('EVENKEEL_ENGINE');
  if (wanted) return open(checkName(wanted));
  const { device, reason } = loadNative();
  if (device) return (devices.native = device);
  // Said once, in one line: the work goes on, only slower. In browsers there is nothing else.
  if (hasNodeModules()) {
    // Deno says itself what it would have to be allowed.
    const advice = reason.includes('--allow-') ? '' : '; npx evenkeel build makes one';
    console.error(`evenkeel: running on the WebAssembly engine: no native addon (${reason})${advice}`);
  }
  return open('wasm');
}

const checkName = (name: string): DeviceName => requireChoice('setEngine', 'name', name, ['native', 'wasm']);

/** The device on which new tensors are made. */
export function currentDevice(): Device {
  return (current ??= choose());
}

/** Makes new tensors live on the given engine, `'native'` or `'wasm'`. Tensors of two engines cannot meet in one operation. */
export function setEngine(name: DeviceName): void {
  current = open(checkName(name));
}

/** The name of the engine on which new tensors are made. */
export function getEngine(): DeviceName {
  return currentDevice().name;
}

/**
 * Returns when everything that operations have set going has been computed (PyTorch: `torch.cuda.synchronize`). Natively, with more than one
 * thread, kernels run beside the JavaScript that called them. Whoever reads values waits for them without this; it is for measuring time.
 *
 * @example
 * const start = performance.now();
 * matmul(randn([256, 256]), randn([256, 256]));
 * synchronize();
 * console.log(performance.now() - start, 'ms');
 */
export function synchronize(): void {
  currentDevice().synchronize();
}

/** The number of threads that kernels use; 1 on the WebAssembly engine (PyTorch: `torch.get_num_threads`). */
export function getNumThreads(): number {
  return currentDevice().getNumThreads();
}

/**
 * Sets the number of threads that kernels use (PyTorch: `torch.set_num_threads`). Results do not depend on it.
 * The default is `OMP_NUM_THREADS`, else the number of cores.
 */
export function setNumThreads(count: number): void {
  requireInteger('setNumThreads', 'count', count, 1, 2 ** 31 - 1);
  currentDevice().setNumThreads(count);
}
