// Watches which module's forward is running, for surgery/fold.ts, explain.ts and summary.ts.
import type { Module } from './module.ts';
import type { Result } from './module_call.ts';

export class ForwardWatch {
  /** The names of all modules of the tree. */
  readonly names: ReadonlyMap<Module, string>;
  private readonly running: Module[] = [];

  constructor(model: Module) {
    this.names = new Map([...model.namedModules()].map(([name, module]) => [module, name]));
  }

  /** The innermost module whose forward is running. */
  get current(): Module | undefined {
    return this.running.at(-1);
  }

  /**
   * Calls `begin` with the first argument of every call from now on, and `end` with its result. The model gets hooks,
   * so it must be a copy.
   */
  follow(begin: (module: Module, input: unknown) => void, end: (module: Module, output: Result) => void): void {
    for (const module of this.names.keys()) {
      module.registerForwardPreHook((_, [input]) => {
        this.running.push(module);
        begin(module, input);
      });
      module.registerForwardHook((_module, _args, output: Result) => {
        // Calls that ended in an error, which somebody caught, are still on the stack.
        while (this.running.pop() !== module);
        end(module, output);
      });
    }
  }
}
