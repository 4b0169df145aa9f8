// The functions of each element, declared once, in elementwise/, with their docstrings. All that stands here is public:
// the package exports it, methods.ts makes a method of each function, and nn.functional exports the activations.
export * from './elementwise/activations.ts';
export * from './elementwise/arithmetic.ts';
export * from './elementwise/comparison.ts';
export * from './elementwise/functions.ts';
export * from './elementwise/integers.ts';
export * from './elementwise/mixed.ts';
export * from './elementwise/trigonometry.ts';
