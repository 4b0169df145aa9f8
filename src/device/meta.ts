// The backend of the meta device: tensors have shape, dtype and memory format, and no memory. Operations do all that they do elsewhere, their
// checks included; only their launches compute nothing. What would read values is an error.
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

/** What was deferred counts as computed, as elsewhere: so fusion decides alike. */
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
