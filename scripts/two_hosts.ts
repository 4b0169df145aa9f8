// Two hosts on one machine: network namespaces with names and addresses of their own, and a cable between them that can
// be cut, or be made slow. It takes the rights of root, and iproute2.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
const cable = 'cable';

/** Why there can be no such hosts here; null: there can. */
export function obstacle(): string | null {
  const name = `ek${process.pid}x`;
  const { error, stderr, status } = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (error) return 'there is no iproute2';
  if (status !== 0) return stderr.trim();
  ip('netns', 'delete', name);
  return null;
}

export class TwoHosts {
  readonly addresses: readonly string[];
  /** What `--hosts` of `launch` takes: a rank on each. */
  readonly list: string;
  /** What jobs need in their environment. */
  readonly env: Readonly<Record<string, string>>;
  private readonly spaces: readonly string[];

  /** @param agent a file to be written: what mpirun calls as `ssh`. */
  constructor(agent: string) {
    this.spaces = ['a', 'b'].map((host) => `ek${process.pid}${host}`);
    this.addresses = [1, 2].map((host) => `10.213.77.${host}`);
    this.list = this.addresses.map((address) => `${address}:1`).join(',');
    this.env = { OMPI_MCA_plm_rsh_agent: agent };
    for (const space of this.spaces) {
      ip('netns', 'add', space);
      ip('-n', space, 'link', 'set', 'lo', 'up');
    }
    const [first, second] = this.spaces;
    ip('-n', first, 'link', 'add', cable, 'type', 'veth', 'peer', 'name', cable, 'netns', second);
    for (const [i, space] of this.spaces.entries()) {
      ip('-n', space, 'address', 'add', `${this.addresses[i]}/24`, 'dev', cable);
      ip('-n', space, 'link', 'set', cable, 'up');
    }
    const cases = this.spaces.map((space, i) => `${this.addresses[i]}) space=${space};;`);
    // Options, the host, the words of a command for its shell.
    writeFileSync(
      agent,
      `#!/bin/sh
while [ "\${1#-}" != "$1" ]; do shift; done
host=$1; shift
case $host in ${cases.join(' ')} esac
exec ip netns exec $space unshare -u sh -c "hostname host-$host; $*"
`,
    );
    chmodSync(agent, 0o755);
  }

  /** A call of `ip` that runs a command on the first host. */
  onFirst(command: string): string[] {
    const [address] = this.addresses;
    return ['netns', 'exec', this.spaces[0], 'unshare', '-u', 'sh', '-c', `hostname host-${address}; exec ${command}`];
  }

  setCable(state: 'up' | 'down'): void {
    ip('-n', this.spaces[0], 'link', 'set', cable, state);
  }

  /** Lets so many bits pass in a second, in each direction. */
  slowDown(bits: number): void {
    for (const space of this.spaces) {
      const rate = ['rate', `${Math.round(bits)}bit`, 'burst', '256kb', 'latency', '50ms'];
      execFileSync('tc', ['-n', space, 'qdisc', 'replace', 'dev', cable, 'root', 'tbf', ...rate], { stdio: 'pipe' });
    }
  }

  remove(): void {
    for (const space of this.spaces) ip('netns', 'delete', space);
  }
}
