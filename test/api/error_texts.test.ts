// What the library says is in its own names: no snake_case, no None, no True of another language. Every string of src
// is looked at, since any may become part of a text; what has to be spelt as PyTorch or a file spells it is listed with
// its reason.
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const source = fileURLToPath(new URL('../../src', import.meta.url));

/** Words that a user of this library cannot write. */
const foreign =
  /[a-z]_[a-z]|__|\b(True|False|None|NoneType|dict|dicts|tuple|tuples|str|self|kwargs?|numpy|Python)\b|\btorch\.|<class|must be (int|float)\b|\b(list|lists) of ints\b/;

/** Strings that are no text, or are another's text on purpose: a file, or a name in it, with the reason. */
const allowed: readonly { readonly in: RegExp; readonly text: RegExp; readonly because: string }[] = [
  {
    in: /^(nn|optim)\//,
    text: /^(running_(mean|var|std)|num_batches_tracked|pos_weight|aux_bn|n_averaged|(in|out|[qkv])_proj(_weight|_bias)?|bias_[kv]|(weight|bias)_([ih]h|hr)(_(l0?)?)?|(self|multihead)_attn)$/,
    because: 'A key of a state dict, which PyTorch reads and writes too.',
  },
  {
    in: /^optim\//,
    text: /^(acc_delta|row_var|col_var|exp_inf|scale_mode|old_dirs|old_stps|mu_product|step_size|_anneal_strategy|exp_avg|exp_avg_sq|max_exp_avg_sq|square_avg|momentum_buffer|grad_avg|base_lrs|last_epoch|_step_count|_last_lr|_anneal_func_type|default_min_lr|min_lrs|threshold_mode|cooldown_counter|num_bad_epochs)$/,
    because: "A key of an optimizer's or a schedule's state, which PyTorch reads and writes too.",
  },
  {
    in: /^optim\/optimizer/,
    text: /\{ state, param_groups \}|loaded state dict/,
    because: 'It names the keys of such a state; a state dict is what PyTorch calls one in prose too.',
  },
  { in: /^nn\/state_dict/, text: /_IncompatibleKeys|unexpected_keys=/, because: "PyTorch's printed form." },
  {
    in: /^nn\/activation/,
    text: /^(, )?(negative_slope|min_val|max_val)=$/,
    because: "PyTorch's printed forms of modules.",
  },
  {
    in: /^nn\/linear/,
    text: /^, (padding_idx|max_norm|norm_type|scale_grad_by_freq)=/,
    because: "PyTorch's printed forms of modules.",
  },
  { in: /^python_text/, text: /^(None|True|False)$/, because: "PyTorch's printed forms of modules." },
  {
    in: /^tensor\/format_tensor/,
    text: /^(True|False)$|dtype=torch\.|grad_fn=<|requires_grad=True/,
    because: "PyTorch's printed form of a tensor.",
  },
  {
    in: /^io\/(pickle|pytorch|stored_dtype)/,
    text: /./,
    because: "Names of PyTorch's, Python's and NumPy's, which files have and their repair must name.",
  },
  { in: /^io\/safetensors/, text: /__metadata__|data_offsets|weight_map/, because: "Names in safetensors' header." },
  {
    in: /^io\/npy/,
    text: /fortran_order|Python objects|^True$/,
    because: "NumPy's header, and what it cannot mean here.",
  },
  {
    in: /^io\/(load_(report|weights)|inspect)/,
    text: /num_batches_tracked|running_|_orig_mod/,
    because: 'Names in state dicts.',
  },
  {
    in: /^models\//,
    text: /^(conv_(stem|head|pwl?|dw|reduce|expand)|pre_logits\.fc\d)$/,
    because: "timm's names of modules.",
  },
  { in: /^nn\/margin_loss/, text: /^distance_function$/, because: 'A key of state dicts.' },
  { in: /^io\/open/, text: /Python/, because: 'Where a file must be written anew.' },
  { in: /^train\/checkpoint/, text: /__metadata__/, because: "Names in a checkpoint's header." },
  { in: /^data\/cifar/, text: /^(data|test)_batch|apple/, because: 'Names of files, and of classes.' },
  { in: /^data\/worker_pool/, text: /^loader_worker$/, because: 'The name of a file.' },
  { in: /^cli\/main/, text: /^\.\/\w+\.ts$/, because: 'The name of a file.' },
  {
    in: /^cli\/native_build/,
    text: /^__(AVX|FMA)|^every_isa$|^dynamic_lookup$|key_create|old_glibc/,
    because: 'Names of compilers, of the C library and of files.',
  },
  { in: /^device\/wasm/, text: /script-src 'self'/, because: 'A word of Content-Security-Policy.' },
  { in: /^data\/worker_pool/, text: /^worker_threads$/, because: "The name of a module of Node.js's." },
  { in: /^files\/processes/, text: /^\/proc\/self\//, because: 'The name of a file.' },
  { in: /^distributed\//, text: /^worker_threads$/, because: "The name of a module of Node.js's." },
  { in: /^cli\/launch/, text: /^mpi_yield_when_idle$|^\.\/rank_setup$/, because: 'Names of mpirun, and of a file.' },
  { in: /^cli\/mpi_build/, text: /^dynamic_lookup$/, because: 'A name of a linker.' },
];

/** Every string of a file that is not part of a printed form of a module, an import or a type. */
function stringsOf(path: string): { text: string; line: number }[] {
  const file = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
  const found: { text: string; line: number }[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || ts.isLiteralTypeNode(node)) return;
    if (ts.isModuleDeclaration(node) && ts.isStringLiteral(node.name)) return;
    if (ts.isMethodDeclaration(node) && node.name.getText() === 'extraRepr') return;
    const isTemplate = ts.isTemplateHead(node) || ts.isTemplateMiddle(node) || ts.isTemplateTail(node);
    if (ts.isStringLiteralLike(node) || isTemplate)
      found.push({ text: node.text, line: file.getLineAndCharacterOfPosition(node.getStart()).line + 1 });
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.includes('generated'))
  .map((name) => name.split(sep).join('/'));
const strings = files.flatMap((name) =>
  stringsOf(join(source, name))
    .filter(({ text }) => foreign.test(text))
    .map(({ text, line }) => ({ name, text, line })),
);

test('no text of the library is in the words of another language', () => {
  const isAllowed = (one: (typeof strings)[number]) =>
    allowed.some(({ in: room, text }) => room.test(one.name) && text.test(one.text));
  expect(strings.filter((one) => !isAllowed(one)).map(({ name, line, text }) => `${name}:${line}: ${text}`)).toEqual(
    [],
  );
});

test('nothing is allowed that is not there', () => {
  const unused = allowed.filter(
    ({ in: room, text }) => !strings.some((one) => room.test(one.name) && text.test(one.text)),
  );
  expect(unused.map(({ text }) => String(text))).toEqual([]);
});
