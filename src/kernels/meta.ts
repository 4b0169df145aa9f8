// The backend of the meta device: tensors have shape, dtype and memory format, and no memory. Operations do all that they do elsewhere, their
// checks included; only their kernels compute nothing. What would read values is an error.
import { NotImplementedError } from '../errors.ts';
import { Backend, type Block } from './backend.ts';
import { type Kernels, kernelNames, type Pointer, Status } from './generated/abi.ts';

/** No address of anything: kernels get it, and do nothing with it. Not 0, which stands for an operand that is absent. */
const nowhere: Pointer = 64;

class MetaBlock implements Block {
  readonly byteLength: number;
  constructor(byteLength: number) {
    this.byteLength = byteLength;
  }
  pin(): Pointer {
    return nowhere;
  }
  bytes(): never {
    throw new NotImplementedError('Cannot copy out of meta tensor; no data!');
  }
}

export class MetaBackend extends Backend {
  readonly name = 'meta';
  override readonly device = 'meta';
  readonly instructionSet = 'none';
  readonly kernels: Kernels;

  constructor() {
    super();
    // The status ok, and the size of a scratch, are the same number.
    const nothing = () => Status.ok;
    this.kernels = Object.fromEntries(kernelNames.map(([name]) => [name, nothing])) as unknown as Kernels;
  }

  allocate(byteLength: number): Block {
    return new MetaBlock(byteLength);
  }
  protected allocateFixed(byteLength: number): Block {
    return this.allocate(byteLength);
  }
  free(): void {}
  override write(): void {}
  override copy(): void {}
  override scratch(): Pointer {
    return nowhere;
  }
  override ints(): Pointer {
    return nowhere;
  }
  override doubles(): Pointer {
    return nowhere;
  }
  memory(): { pooled: number; allocated: number } {
    return { pooled: 0, allocated: 0 };
  }
  trim(): void {}
  getNumThreads(): number {
    return 1;
  }
  setNumThreads(): void {}
}
