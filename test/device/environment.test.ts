// Deno refuses to read environment variables that it was not allowed to. Then everything works as if there were none.
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('tensors are computed where no environment variable may be read', () => {
  const program = `
    const { full } = await import('./src/index.ts');
    const refuse = (_env, name) => {
      // Node.js reads others itself.
      if (String(name).startsWith('EVENKEEL')) throw new Error('NotCapable: Requires env access to ' + name);
    };
    Object.defineProperty(process, 'env', { value: new Proxy({}, { get: refuse }) });
    console.log(full([2], 3).mul(2).toArray().join());
  `;
  const args = ['--import', 'tsx', '--input-type=module', '-e', program];
  expect(execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })).toContain(
    '6,6',
  );
});
