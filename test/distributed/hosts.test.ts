// Training over two hosts: network namespaces of this machine, with a cable between them that is cut.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Hosts, obstacle } from '../../scripts/hosts.ts';
import { checksOf, type Ended, expectEnded, pidsIn, runProgram } from './ranks.ts';

const reason = obstacle();
if (reason) console.log(`evenkeel: no network namespaces, so tests of several hosts do not run: ${reason}`);

const work = mkdtempSync(join(tmpdir(), 'evenkeel-hosts-'));
let hosts: Hosts | null = null;
beforeAll(() => {
  if (!reason) hosts = new Hosts(join(work, 'agent.sh'));
});
afterAll(() => {
  rmSync(work, { recursive: true, force: true });
  hosts?.remove();
});

type WatchOutput = (stdout: string, stderr: string) => void;

/** A job with a rank on each host, launched on the first one. @param words options of `launch`, script, arguments. */
function runOnHosts(words: readonly string[], watch: WatchOutput = () => {}): Promise<Ended> {
  const launch = ['src/cli/main.ts', 'launch', '--hosts', hosts!.list, '--mpi', 'openmpi', ...words];
  const command = [process.execPath, '--import', 'tsx', ...launch].join(' ');
  return runProgram('ip', hosts!.onFirst(command), { ...hosts!.env }, (_, ...said) => watch(...said));
}
const scriptAt = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Training; all ranks must be gone at its end. */
async function trainOnHosts(checkpoint: string, options: readonly string[], watch?: WatchOutput): Promise<Ended> {
  const ended = await runOnHosts([...options, scriptAt('host_ranks.ts'), join(work, checkpoint)], watch);
  const pids = pidsIn(ended.stdout);
  expect(pids.length, ended.stdout + ended.stderr).toBeGreaterThanOrEqual(2);
  await expectEnded(pids);
  return ended;
}

const hashesIn = ({ stdout }: Ended): string[] => Array.from(stdout.matchAll(/RESULT (\w+)/g), ([, hash]) => hash);

describe.skipIf(reason !== null && process.env.EVENKEEL_REQUIRE_MPI === undefined)('two hosts of openmpi', () => {
  test('training whose connection is cut in the middle of an epoch ends within the timeout, and goes on to the same bits', async () => {
    const whole = await trainOnHosts('whole', []);
    expect(whole.status, whole.stderr).toBe(0);
    for (const [rank, name] of hosts!.names.entries())
      expect(whole.stdout).toMatch(new RegExp(`\\[${rank}\\] RESULT \\w+ on ${name}\n`));

    // The first restart may come before the connection is there again.
    let cut = 0;
    let ended = 0;
    const again = await trainOnHosts('cut', ['--max-restarts', '3'], (said, errors) => {
      if (!cut && /\[0\] AT WORK/.test(said)) {
        cut = Date.now();
        hosts!.setCable('down');
      }
      if (ended || !errors.includes('evenkeel: the job has ended')) return;
      ended = Date.now();
      hosts!.setCable('up');
    });
    const { status, stdout, stderr } = again;
    expect(stderr).toMatch(
      /\[0\] RuntimeError: \[\w+\] (allReduce|allGather|broadcast) no\. \d+ .* has not been completed within 4 s: /,
    );
    expect(stderr).toMatch(/evenkeel: the job has ended with exit code [1-9]/);
    expect((ended - cut) / 1000).toBeLessThan(15);
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/\[0\] READY \d+ on \S+ from step [1-9]/);
    expect(hashesIn(again)).toEqual(hashesIn(whole));
    expect(new Set(hashesIn(whole)).size).toBe(1);
  });

  // Within one machine whose processors are busy they wait for the end of the backward.
  test('gradients that are sent while the backward goes on', async () => {
    checksOf(await runOnHosts([scriptAt('ddp_ranks.ts')]), 2, 600);
  });
});
