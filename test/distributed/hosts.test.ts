// A job over two hosts: network namespaces of this machine, with host names of their own and a cable between them,
// which the tests cut. Needs the rights of root, and iproute2.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ended, runProgram } from './ranks.ts';

const name = `ek${process.pid}`;
const hosts = ['a', 'b'].map((host, i) => ({ space: `${name}${host}`, address: `10.213.77.${i + 1}` }));
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });

/** Why there can be no such hosts here; null: there can. */
function obstacle(): string | null {
  const { error, stderr, status } = spawnSync('ip', ['netns', 'add', `${name}x`], { encoding: 'utf8' });
  if (error) return 'there is no iproute2';
  if (status !== 0) return stderr.trim();
  ip('netns', 'delete', `${name}x`);
  return null;
}
const reason = obstacle();
if (reason) console.log(`evenkeel: no network namespaces, so tests of several hosts do not run: ${reason}`);

const work = mkdtempSync(join(tmpdir(), 'evenkeel-hosts-'));
const agent = join(work, 'agent.sh');
const setCable = (state: 'up' | 'down') => ip('-n', hosts[0].space, 'link', 'set', 'cable', state);

beforeAll(() => {
  if (reason) return;
  for (const { space } of hosts) {
    ip('netns', 'add', space);
    ip('-n', space, 'link', 'set', 'lo', 'up');
  }
  ip('-n', hosts[0].space, 'link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'cable', 'netns', hosts[1].space);
  for (const { space, address } of hosts) {
    ip('-n', space, 'address', 'add', `${address}/24`, 'dev', 'cable');
    ip('-n', space, 'link', 'set', 'cable', 'up');
  }
  // What mpirun calls as ssh: options, the host, the words of a command for its shell.
  writeFileSync(
    agent,
    `#!/bin/sh
while [ "\${1#-}" != "$1" ]; do shift; done
host=$1; shift
case $host in ${hosts.map(({ space, address }) => `${address}) space=${space};;`).join(' ')} esac
exec ip netns exec $space unshare -u sh -c "hostname host-$host; $*"
`,
  );
  chmodSync(agent, 0o755);
});
afterAll(() => {
  rmSync(work, { recursive: true, force: true });
  if (!reason) for (const { space } of hosts) ip('netns', 'delete', space);
});

/** Whether a process runs, other than as a zombie. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** A job with a rank on each host, launched on the first one; all ranks must be gone at its end. */
async function runOnHosts(args: readonly string[], watch?: (stdout: string, stderr: string) => void): Promise<Ended> {
  const list = hosts.map(({ address }) => `${address}:1`).join(',');
  const script = fileURLToPath(new URL('host_ranks.ts', import.meta.url));
  const launch = ['src/cli/main.ts', 'launch', '--hosts', list, '--mpi', 'openmpi', ...args.slice(0, -1), script];
  const command = [process.execPath, '--import', 'tsx', ...launch, args.at(-1)!, join(work, 'checkpoint')].join(' ');
  const ended = await runProgram(
    'ip',
    [
      'netns',
      'exec',
      hosts[0].space,
      'unshare',
      '-u',
      'sh',
      '-c',
      `hostname host-${hosts[0].address}; exec ${command}`,
    ],
    { OMPI_MCA_plm_rsh_agent: agent },
    (_, stdout, stderr) => watch?.(stdout, stderr),
  );
  const pids = Array.from(ended.stdout.matchAll(/READY (\d+)/g), ([, pid]) => Number(pid));
  expect(pids.length, ended.stdout + ended.stderr).toBeGreaterThanOrEqual(2);
  for (let i = 0; i < 60 && pids.some(isAlive); i++) await sleep(50);
  expect(pids.filter(isAlive), 'processes left behind').toEqual([]);
  return ended;
}

describe.skipIf(reason !== null && process.env.EVENKEEL_REQUIRE_MPI === undefined)('two hosts of openmpi', () => {
  test('collectives run', async () => {
    const { status, stdout, stderr } = await runOnHosts(['200']);
    expect(status, stderr).toBe(0);
    for (const [rank, { address }] of hosts.entries())
      expect(stdout).toContain(`[${rank}] RESULT 3 of 2 on host-${address}\n`);
  });

  test('a connection that is cut ends the job within the timeout; after that it goes on where it was', async () => {
    rmSync(join(work, 'checkpoint'), { force: true });
    // The first restart may come before the connection is there again.
    let cut = 0;
    let ended = 0;
    const { status, stdout, stderr } = await runOnHosts(['--max-restarts', '3', '300'], (said, errors) => {
      if (!cut && /\[0\] AT WORK/.test(said)) {
        cut = Date.now();
        setCable('down');
      }
      if (ended || !errors.includes('evenkeel: the job has ended')) return;
      ended = Date.now();
      setCable('up');
    });
    expect(stderr).toMatch(
      /\[0\] RuntimeError: \[allReduce\] allReduce no\. \d+ \(sum, \d+ float32\) for a step has not been completed within 4 s: /,
    );
    expect(stderr).toMatch(/evenkeel: the job has ended with exit code [1-9]/);
    expect((ended - cut) / 1000).toBeLessThan(15);
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/\[0\] READY \d+ on \S+ from [1-9]/);
    expect(stdout).toMatch(/\[0\] RESULT 3 of 2/);
  });
});
