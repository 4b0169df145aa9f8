// Chooses where new tensors live. Users name a device, 'cpu' or 'meta'; a backend implements it. The cpu has two
// backends, its engines: the native addon, if there is one, and WebAssembly. The engine is chosen at its first use;
// EVENKEEL_ENGINE=native|wasm or setEngine() can choose another.
import { requireChoice, requireInteger, shown } from '../checks.ts';
import { ArgumentTypeError, RuntimeError } from '../errors.ts';
import { hasNodeModules } from '../files/node.ts';
import { restoring } from '../restoring.ts';
import { environment } from './addon_file.ts';
import type { Backend, Device, EngineName } from './backend.ts';
import { MetaBackend } from './meta.ts';
import { loadNative } from './native.ts';
import { makeTraceable } from './trace.ts';
import { WasmBackend } from './wasm.ts';

const engines: Partial<Record<EngineName, Backend>> = {};
/** The engine of the cpu, once it is chosen. */
let cpu: Backend | null = null;
let meta: MetaBackend | null = null;
/** Where new tensors go. */
let current: Backend | null = null;

function open(name: EngineName): Backend {
  return engines[name] ?? opened(name, name === 'wasm' ? new WasmBackend() : openNative());
}

/** Opens an engine at its first use. */
function opened(name: EngineName, backend: Backend): Backend {
  makeTraceable(backend);
  return (engines[name] = backend);
}

function openNative(): Backend {
  const { backend, reason } = loadNative();
  if (!backend) throw new RuntimeError(`[setEngine] the native engine is not available: ${reason}`);
  return backend;
}

function choose(): Backend {
  const wanted = environment('EVENKEEL_ENGINE');
  if (wanted) return open(checkName(wanted));
  const { backend, reason } = loadNative();
  if (backend) return opened('native', backend);
  // One line, once: everything works, only slower. Not in browsers, where there is no other engine.
  if (hasNodeModules()) {
    // Deno's own message says which permission is missing.
    const advice = reason.includes('--allow-') ? '' : '; npx evenkeel build makes one';
    console.error(`evenkeel: running on the WebAssembly engine: no native addon (${reason})${advice}`);
  }
  return open('wasm');
}

const checkName = (name: string): EngineName => requireChoice('setEngine', 'name', name, ['native', 'wasm']);

const cpuBackend = (): Backend => (cpu ??= choose());

/** The backend on which new tensors are made. */
export function currentBackend(): Backend {
  return (current ??= cpuBackend());
}

/** The backend of a device that an option names, or, without one, that on which new tensors are made. */
export const backendOf = (device: Device | undefined): Backend =>
  device === undefined ? currentBackend() : namedBackend('device', device);

function namedBackend(op: string, device: Device): Backend {
  if (device === 'cpu') return cpuBackend();
  if (device === 'meta') return (meta ??= new MetaBackend());
  throw new ArgumentTypeError(`[${op}] expected 'cpu' or 'meta' as device, got ${shown(device)}`);
}

export const deviceNames: readonly Device[] = ['cpu', 'meta'];

/** Whether a value is the name of a device. */
export const isDevice = (value: unknown): value is Device => deviceNames.includes(value as Device);

/**
 * Makes new tensors live on a device while `fn` runs, unless they are asked for on another (PyTorch: `with
 * torch.device(…)`). Where a tensor is made from others, or for an operation on them, it lives where they do. Waits for
 * an async `fn`; what runs meanwhile makes its tensors there too.
 * @throws ArgumentTypeError on a device that does not exist.
 * @example
 * const model = withDevice('meta', () => new Linear(40_000, 40_000)); // takes no memory
 */
export function withDevice<R>(device: Device, fn: () => R): R {
  const backend = namedBackend('withDevice', device);
  const former = current;
  current = backend;
  return restoring(() => {
    current = former;
  }, fn);
}

/**
 * Makes new tensors of the cpu live on the given engine, `'native'` or `'wasm'`. Tensors of two engines cannot meet in
 * one operation.
 */
export function setEngine(name: EngineName): void {
  const former = cpu;
  cpu = open(checkName(name));
  if (current === former) current = cpu;
}

/** The name of the engine on which new tensors of the cpu are made. */
export function getEngine(): EngineName {
  return cpuBackend().name as EngineName;
}

/**
 * Returns when all kernels that operations have launched have run (PyTorch: `torch.cuda.synchronize`). On the native
 * engine with more than one thread, kernels run beside JavaScript. Reading values waits for them anyway; this function
 * is for measuring time.
 *
 * @example
 * const start = performance.now();
 * matmul(randn([256, 256]), randn([256, 256]));
 * synchronize();
 * console.log(performance.now() - start, 'ms');
 */
export function synchronize(): void {
  cpuBackend().synchronize();
}

/** Drops memory that has not been reused lately; called at the end of outermost scopes. */
export function trimMemory(): void {
  cpu?.trim();
}

/** The number of threads that kernels use; 1 on the WebAssembly engine (PyTorch: `torch.get_num_threads`). */
export function getNumThreads(): number {
  return cpuBackend().getNumThreads();
}

/**
 * Sets the number of threads that kernels use (PyTorch: `torch.set_num_threads`). Results do not depend on it.
 * The default is `OMP_NUM_THREADS`, else the number of cores.
 */
export function setNumThreads(count: number): void {
  requireInteger('setNumThreads', 'count', count, 1, 2 ** 31 - 1);
  cpuBackend().setNumThreads(count);
}
