// How much of PyTorch is here, by its names (torch_names.json, which torch_names.py writes): layers, optimizers,
// schedules, initial values, and functions of tensors. What is out of scope stands in a group with its reason.
import { readdirSync, readFileSync } from 'node:fs';
import * as ek from '../src/index.ts';
import * as nn from '../src/nn/index.ts';
import * as optim from '../src/optim/index.ts';
import { camel } from './case.ts';
import { otherThings } from './table.ts';

type Family = 'layers' | 'optimizers' | 'schedulers' | 'inits' | 'functions';
type Names = Record<Family | 'methods', string[]>;
const inventory = JSON.parse(readFileSync(new URL('torch_names.json', import.meta.url), 'utf8')) as Names & {
  version: string;
};

/** Names that are left out, each list with its reason; a name that ends in `*` stands for all that begin so. */
const functionGroups: readonly [names: string, reason: string][] = [
  [
    'absolute arccos arccosh arcsin arcsinh arctan arctan2 arctanh asarray clip concat concatenate divide fix ger greater greater_equal inverse less less_equal multiply negative not_equal orgqr row_stack subtract trapz true_divide adjoint det nelement ndimension ndim range type',
    "PyTorch's second names of functions that it also has under another one.",
  ],
  [
    'angle complex conj conj_physical imag is_complex is_conj is_neg isreal polar real resolve_conj resolve_neg view_as_complex view_as_real cdouble cfloat chalf H mH sgn',
    'Complex numbers: no layer of vision models has them.',
  ],
  [
    'coalesce col_indices crow_indices dense_dim hspmm indices is_coalesced is_sparse is_sparse_csr smm sparse_* sspaddmm to_dense to_sparse* to_padded_tensor values',
    'Sparse and nested tensors: all tensors are dense.',
  ],
  [
    'dequantize fake_quantize_* int_repr is_quantized q_* qscheme quantize_* quantized_*',
    'Quantization: an inference concern; models are trained in floats.',
  ],
  [
    'cuda get_device ipu is_cpu is_cuda is_ipu is_meta is_mps is_xla is_xpu is_pinned mtia pin_memory record_stream to_mkldnn xpu cpu device',
    'Other devices and their memory: tensors are where kernels are. The device is a property.',
  ],
  [
    'as_strided as_strided_scatter as_subclass const_data_ptr contiguous data_ptr element_size empty_permuted empty_strided is_contiguous is_set_to itemsize nbytes new_empty_strided storage_offset stride untyped_storage unsafe_chunk unsafe_split',
    'Memory as such: tensors are dense and have one of two memory formats; there are no arbitrary strides.',
  ],
  [
    '*_copy segment_reduce hash_tensor nonzero_static _assert_async from_file frombuffer from_numpy numpy split_with_sizes map2 grad_dtype',
    'Helpers of compilers and of Python: views made copies, sizes known before, NumPy (its files are read in `evenkeel/io`).',
  ],
  [
    'bartlett_window blackman_window hamming_window hann_window kaiser_window istft stft',
    'Signal processing of sound.',
  ],
  [
    'cholesky cholesky_inverse cholesky_solve geqrf logdet lu lu_solve lu_unpack matrix_exp ormqr pca_lowrank pinverse qr slogdet svd svd_lowrank triangular_solve chain_matmul',
    'Decompositions of matrices, which PyTorch itself has moved to `torch.linalg`.',
  ],
  [
    'i0 igamma igammac mvlgamma polygamma frexp nextafter',
    'Special functions of statistics and of the bits of numbers.',
  ],
  [
    'bfloat16 half char short can_cast promote_types result_type get_default_dtype is_inference is_inference_mode_enabled is_signed set_flush_denormal set_num_interop_threads get_num_interop_threads bool byte double float int long',
    "Dtypes that are not here, conversions (`x.to('float32')`), and settings of PyTorch's own machinery.",
  ],
];

/** Names of the other families, each list with its reason. */
const otherGroups: readonly [names: string, reason: string][] = [
  ['Container NLLLoss2d', "PyTorch's old names of `Sequential` and `NLLLoss`, which it warns of."],
  ['RNNBase RNNCellBase', 'What the recurrent layers share in PyTorch; nobody builds one.'],
  ['DataParallel', 'For several GPUs of one process; `DistributedDataParallel` is in `evenkeel/distributed`.'],
  ['SparseAdam', 'For sparse gradients: all tensors are dense.'],
];

/** What is in scope and not here yet, with the reason. */
const missing: Readonly<Record<string, string>> = {
  AdaptiveLogSoftmaxWithLoss: 'not yet: a loss of large vocabularies',
  FractionalMaxPool2d: 'not yet: pooling with random windows',
  FractionalMaxPool3d: 'not yet: pooling with random windows',
  LinearCrossEntropyLoss: 'not yet: new in PyTorch, a loss with its last layer',
  trace: 'another thing has this name; `x.diagonal().sum()` is the same',
  unfold: 'another thing has this name: `nn.functional.unfold` is that of images',
  gradient: "not yet: slopes by differences, of a function's values at given places",
  digamma: 'not yet: a special function of statistics',
  lgamma: 'not yet: a special function of statistics',
  histogramdd: 'not yet: `histogram` has one dimension',
  poisson: 'not yet: a distribution that no layer draws from',
};

/** The library's names, where they are not PyTorch's in camelCase. */
const renamed: Readonly<Record<string, string>> = {
  as_tensor: 'tensor',
  size: 'shape',
  tolist: 'toArray',
  type_as: 'to',
  index_put: 'setIndex',
  retains_grad: 'retainGrad',
};

const matches = (pattern: string, name: string): boolean =>
  pattern === name ||
  (pattern.endsWith('*') && name.startsWith(pattern.slice(0, -1))) ||
  (pattern.startsWith('*') && name.endsWith(pattern.slice(1)));
const groupsOf = (family: Family) => (family === 'functions' ? functionGroups : otherGroups);
const isOutOfScope = (family: Family, name: string): boolean =>
  groupsOf(family).some(([names]) => names.split(' ').some((pattern) => matches(pattern, name)));

const namesOf = (family: Family): string[] =>
  family === 'functions' ? [...inventory.functions, ...inventory.methods].sort() : inventory[family];
/** What a tensor has under this name is another thing, of its own use. */
const notThis: ReadonlySet<string> = new Set(['gradient', ...otherThings]);
const sample = ek.zeros([1]);
/** The library's name of one of PyTorch's; null where it is not here. */
function nameHere(family: Family, torch: string): string | null {
  const name = family === 'layers' ? torch : (renamed[torch] ?? camel(torch));
  const homes = {
    layers: [nn],
    optimizers: [optim],
    schedulers: [optim],
    inits: [nn.init],
    functions: [ek, nn.functional, sample],
  }[family] as object[];
  const own = family === 'optimizers' || family === 'schedulers' ? torch : name;
  if (family === 'functions' && notThis.has(torch)) return null;
  return homes.some((home) => own in home) ? own : null;
}

const titles: Record<Family, string> = {
  layers: 'Layers and losses (`torch.nn`)',
  optimizers: 'Optimizers (`torch.optim`)',
  schedulers: 'Schedules (`torch.optim.lr_scheduler`)',
  inits: 'Initial values (`torch.nn.init`)',
  functions: 'Functions of tensors (`torch`, `torch.Tensor`)',
};
const families = Object.keys(titles) as Family[];
const quoted = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');

/** The table of what is here, what is out of scope and why, and what is missing. */
export function coverageSections(): string[] {
  const lacking = families.flatMap((family) =>
    namesOf(family).filter((name) => !isOutOfScope(family, name) && nameHere(family, name) === null),
  );
  const wrong = [
    ...lacking.filter((name) => !(name in missing)).map((name) => `${name} is neither here nor has it a reason`),
    ...Object.keys(missing).flatMap((name) => (lacking.includes(name) ? [] : [`${name} is not missing`])),
  ];
  if (wrong.length > 0) throw new Error(`conformance/coverage.ts: ${wrong.join('; ')}`);
  const rows = families.map((family) => {
    const all = namesOf(family);
    const scope = all.filter((name) => !isOutOfScope(family, name));
    const here = scope.filter((name) => nameHere(family, name) !== null);
    return `| ${titles[family]} | ${all.length} | ${all.length - scope.length} | ${scope.length} | ${here.length} | ${scope.length - here.length} |`;
  });
  const left = families.flatMap((family) =>
    family === 'optimizers' || family === 'schedulers' || family === 'inits'
      ? []
      : groupsOf(family).map(([names, reason]) => {
          const found = [...namesOf(family), ...(family === 'layers' ? namesOf('optimizers') : [])].filter((name) =>
            names.split(' ').some((pattern) => matches(pattern, name)),
          );
          return `| ${reason} | ${quoted(found)} |`;
        }),
  );
  return [
    `PyTorch ${inventory.version.split('+')[0]} documents so many names; \`conformance/torch_names.py\` lists them. Counted are those of the library as it is now. In-place methods and \`torch.nn.functional\` go with their functions and layers.`,
    [
      '|  | PyTorch has | out of scope | relevant | here | missing |',
      '| --- | ---: | ---: | ---: | ---: | ---: |',
      ...rows,
    ].join('\n'),
    `Missing: ${Object.entries(missing)
      .map(([name, reason]) => `\`${name}\` (${reason})`)
      .join(', ')}.`,
    ['| out of scope | names |', '| --- | --- |', ...left].join('\n'),
    'Where each of them is documented: [index_of_names.md](index_of_names.md).',
  ];
}

// ---- the index ------------------------------------------------------------------------------------------------------

const source = new URL('../src/', import.meta.url);
/** The file in which each exported name is declared, with its docstring. */
function declarations(): Map<string, string> {
  const found = new Map<string, string>();
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  for (const file of files.map((each) => each.replaceAll('\\', '/')).sort()) {
    const text = readFileSync(new URL(file, source), 'utf8');
    const exported = /^export (?:async function|function|const|abstract class|class) (\w+)/gm;
    for (const [, name] of text.matchAll(exported)) if (!found.has(name)) found.set(name, file);
  }
  return found;
}
/** Where what is no export of its own is documented: methods and properties of tensors, renamed exports. */
function homeOf(name: string, all: ReadonlyMap<string, string>): string {
  const alias: Record<string, string> = { var: 'variance', broadcastTo: 'broadcastToShape' };
  const file = all.get(alias[name] ?? name);
  if (file) return file;
  const isMethod = new RegExp(`^  (?:readonly )?${name}[(:]`, 'm');
  return isMethod.test(readFileSync(new URL('ops/methods.ts', source), 'utf8')) ? 'ops/methods.ts' : 'tensor/tensor.ts';
}

/** docs/index_of_names.md: every name of PyTorch that is here, and where it is documented. */
export function indexPage(): string {
  const all = declarations();
  const sections = families.map((family) => {
    const rows = namesOf(family).flatMap((torch) => {
      const name = nameHere(family, torch);
      if (name === null || isOutOfScope(family, torch)) return [];
      const file = homeOf(name, all);
      return [`| \`${torch}\` | \`${name}\` | [src/${file}](../src/${file}) |`];
    });
    return [`## ${titles[family]}`, '', '| PyTorch | here | documented in |', '| --- | --- | --- |', ...rows].join(
      '\n',
    );
  });
  return [
    '# Index of names',
    "What PyTorch documents and the library has, by PyTorch's names, with the file whose docstring says what it takes, gives and refuses. Made by `npm run conformance -- --page`; [conformance.md](conformance.md) has the counts, and what is left out.",
    ...sections,
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}
