// PyTorch's texts as the library says them: the same words, with its own names for what a user writes here. Tests that
// hold recorded texts of PyTorch against ours go through this; what is said otherwise altogether stands in their own
// tables.

/** Names of PyTorch's that no rule makes ours. */
const names: readonly [RegExp, string][] = [
  [/torch\.Size\((\[[^\]]*\])\)/g, '$1'],
  [/"GroupNormKernelImpl"/g, '"groupNorm"'],
  [/"LayerNormKernelImpl"/g, '"layerNorm"'],
  [/'native_batch_norm'/g, "'batch_norm'"],
  [/requires_grad True/g, 'requiresGrad true'],
  [/ None\b/g, ' null'],
  [/=True\b/g, ': true'],
  [/=False\b/g, ': false'],
  [/\bgrad_output\[/g, 'grad_outputs['],
];
const dtypes: Readonly<Record<string, string>> = {
  Bool: 'bool',
  Byte: 'uint8',
  Int: 'int32',
  Long: 'int64',
  Float: 'float32',
  Double: 'float64',
};

const sentences: readonly [RegExp, (...parts: string[]) => string][] = [
  [
    /^(\w+)\(\): argument '(\w+)' \(position \d+\) must be float, not NoneType$/,
    (_, op, name) => `[${camel(op)}] expected a number as ${camel(name)}, got null`,
  ],
  [/^Padding_idx must be within num_embeddings$/, () => 'paddingIdx must be within numEmbeddings'],
  [
    /^'NoneType' object has no attribute '\w+'$/,
    () => '[resetRunningStats] the layer was made without running statistics: there are none to reset',
  ],
  [
    /does not match num_features\. You can silence .*$/,
    () =>
      "does not match numFeatures, which is not used because affine is false. You can silence this warning by giving the layer the input's size",
  ],
];

const camel = (name: string): string =>
  name.replace(/(?<=[a-z0-9])_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** A text of PyTorch's in the library's words. Keys of states stay. */
export function inOurWords(text: string): string {
  for (const [pattern, say] of sentences) if (pattern.test(text)) return text.replace(pattern, say);
  const named = names
    .reduce((said, [pattern, name]) => said.replace(pattern, name), text)
    .replace(
      /"(\w+)" not implemented for '(\w+)'/g,
      (_, op: string, name: string) => `"${camel(op)}" not implemented for '${dtypes[name] ?? name}'`,
    );
  // Outside of double quotes, and of the other place where keys stand.
  return named
    .split(/("[^"]*"|size mismatch for [\w.]+:)/)
    .map((part, i) => (i % 2 === 1 ? part : camel(part).replace(/(?<![\d.])(\d+)\.0(?![\d.])/g, '$1')))
    .join('');
}
