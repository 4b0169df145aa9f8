// Each entry of kernels/elementwise/*.def is an operation: declared in src/ops/elementwise/ with a docstring, a method,
// a functional form where PyTorch has one, a case.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { registry } from '../../src/autograd/define_op.ts';
import { Binary, Unary } from '../../src/device/generated/abi.ts';
import * as root from '../../src/index.ts';
import * as nn from '../../src/nn/index.ts';
import * as elementwise from '../../src/ops/elementwise.ts';
import { binary } from '../cases/binary.ts';
import type { BinaryRow } from '../cases/elementwise_row.ts';
import { activationLayers, unary } from '../cases/unary.ts';
import { binaryEntries, unaryEntries } from '../support/elementwise_lists.ts';

const rows = { ...unary, ...binary };
const entries = [...unaryEntries, ...binaryEntries].map((entry) => ({ ...entry, row: rows[entry.name as 'neg'] }));
const functions: Record<string, unknown> = { ...elementwise };
const publicName = (name: string) => rows[name as 'neg' | 'add'].publicName ?? name;

test('the TypeScript table has the entries, in their order', () => {
  expect(Object.entries(Unary)).toEqual(unaryEntries.map(({ name }, i) => [name, i]));
  expect(Object.entries(Binary)).toEqual(binaryEntries.map(({ name }, i) => [name, i]));
});

test('the rows of tests are the entries', () => {
  expect(Object.keys(unary)).toEqual(unaryEntries.map(({ name }) => name));
  expect(Object.keys(binary)).toEqual(binaryEntries.map(({ name }) => name));
});

describe.each(entries)('$name', ({ name, isTest, row }) => {
  test('is declared', () => {
    expect(functions).toHaveProperty(publicName(name));
    // Tests of elements, and functions of integers, have no gradient, and so no operation to record.
    if (!isTest && (row as BinaryRow).takes !== 'integers') expect([...registry.keys()]).toContain(name);
  });

  test('is a function of the package, and a method', () => {
    expect((root as Record<string, unknown>)[publicName(name)]).toBe(functions[publicName(name)]);
    expect(root.Tensor.prototype).toHaveProperty(publicName(name));
  });

  test('has a case', () => {
    // What takes integers alone has neither kinks nor gradients: test/kernels/elementwise.test.ts has its values.
    if ((row as BinaryRow).takes !== 'integers') expect(isTest ? row.kinks : row.case).toBeDefined();
    if (name in unary) expect(unary[name as 'neg'].d !== undefined).toBe(!isTest);
  });

  if (name in unary)
    test('has a functional form where PyTorch has one', () => {
      const { functional, case: given, kinks = [] } = unary[name as 'neg'];
      const texts = [given, ...kinks].map((call) => call?.[0] ?? '').join(' ');
      // relu6 is another name of hardtanh's.
      for (const [, torch] of texts.matchAll(/\bF\.(\w+)/g)) if (torch !== 'relu6') expect(functional).toBe(torch);
      expect(publicName(name) in nn.functional).toBe(functional !== undefined);
    });
});

test('every activation layer has its row', () => {
  // These go along a dimension, take their numbers by position, or have slopes that are learned or drawn.
  const others = ['Softmax', 'LogSoftmax', 'Softmax2d', 'Softmin', 'GLU', 'Threshold', 'PReLU', 'RReLU'];
  const file = fileURLToPath(new URL('../../src/nn/activation.ts', import.meta.url));
  const exported = exportsOf(file).filter(({ isClass }) => isClass);
  const listed = [...activationLayers.map(({ name }) => name), ...others];
  expect(exported.map(({ name }) => name).sort()).toEqual(listed.sort());
});

test('every function has a docstring that names its source', () => {
  const folder = fileURLToPath(new URL('../../src/ops/elementwise/', import.meta.url));
  const found = readdirSync(folder)
    .flatMap((file) => exportsOf(folder + file))
    .filter(({ name }) => name in functions);
  expect(found.map(({ name }) => name).sort()).toEqual(Object.keys(functions).sort());
  expect(found.filter(({ text }) => !/PyTorch: `/.test(text)).map(({ name }) => name)).toEqual([]);
});

/** What a file exports under a name of its own, with the comment before it. */
function exportsOf(file: string): { name: string; isClass: boolean; text: string }[] {
  const source = ts.createSourceFile(file, ts.sys.readFile(file)!, ts.ScriptTarget.ES2023, true);
  return source.statements.flatMap((statement) => {
    const isExported =
      ts.canHaveModifiers(statement) &&
      ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    if (!isExported) return [];
    const text = ts
      .getJSDocCommentsAndTags(statement)
      .map((node) => node.getText().replace(/\s*\n\s*\*\s*/g, ' '))
      .join('\n');
    if (ts.isVariableStatement(statement))
      return statement.declarationList.declarations.map(({ name }) => ({ name: name.getText(), isClass: false, text }));
    if (!ts.isFunctionDeclaration(statement) && !ts.isClassDeclaration(statement)) return [];
    return [{ name: statement.name!.text, isClass: ts.isClassDeclaration(statement), text }];
  });
}
