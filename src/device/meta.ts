// The backend of the meta device: tensors have shape, dtype and memory format, but no memory. Operations run with all
// their checks; their launches compute nothing. Reading values is an error.
import { NotImplementedError } from '../errors.ts';
import { Backend, type Block } from './backend.ts';
import type { Pointer } from './generated/abi.ts';
import { type Launches, launchNames } from './generated/launches.ts';
import { type Given, operandsOf } from './operand.ts';

class MetaBlock implements Block {
  readonly byteLength: number;
  constructor(byteLength: number) {
    this.byteLength = byteLength;
  }
  pin(): Pointer {
    return 0;
  }
  bytes(): never {
    throw new NotImplementedError('Cannot copy out of meta tensor; no data!');
  }
}

/** Deferred tensors count as computed afterwards, so that fusion decides as on the cpu. */
function launchNothing(_caller: string, given: Given): void {
  for (const [, operand] of operandsOf(given)) operand.materialize();
}

export class MetaBackend extends Backend {
  readonly name = 'meta';
  override readonly device = 'meta';
  readonly instructionSet = 'none';
  launch: Launches;

  constructor() {
    super();
    this.launch = Object.fromEntries(launchNames.map((name) => [name, launchNothing])) as unknown as Launches;
  }

  allocate(byteLength: number): Block {
    return new MetaBlock(byteLength);
  }
  free(): void {}
  override write(): void {}
  override copy(): void {}
  memory(): { pooled: number; allocated: number } {
    return { pooled: 0, allocated: 0 };
  }
  trim(): void {}
  getNumThreads(): number {
    return 1;
  }
  setNumThreads(): void {}
}
