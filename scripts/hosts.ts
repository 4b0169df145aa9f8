// Hosts on one machine: network namespaces with names and addresses of their own, and a cable from each to a switch,
// which can be cut, or be made slow. It takes the rights of root, and iproute2.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
const cable = 'cable';
const bridge = 'switch';

/** Why there can be no such hosts here; null: there can. */
export function obstacle(): string | null {
  const name = `ek${process.pid}x`;
  const { error, stderr, status } = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (error) return 'there is no iproute2';
  if (status !== 0) return stderr.trim();
  ip('netns', 'delete', name);
  return null;
}

export class Hosts {
  /** Without points: MPI cuts names there. */
  readonly names: readonly string[];
  readonly addresses: readonly string[];
  /** What `--hosts` of `launch` takes: a rank on each. */
  readonly list: string;
  /** What jobs need in their environment. */
  readonly env: Readonly<Record<string, string>>;
  private readonly spaces: readonly string[];
  /** Where the switch is. */
  private readonly middle = `ek${process.pid}s`;

  /** @param agent a file to be written: what mpirun calls as `ssh`. @param count the number of hosts. */
  constructor(agent: string, count = 2) {
    const numbers = Array.from({ length: count }, (_, i) => i + 1);
    this.spaces = numbers.map((host) => `ek${process.pid}h${host}`);
    this.names = numbers.map((host) => `host-${host}`);
    this.addresses = numbers.map((host) => `10.213.77.${host}`);
    this.list = this.addresses.map((address) => `${address}:1`).join(',');
    this.env = { OMPI_MCA_plm_rsh_agent: agent };
    ip('netns', 'add', this.middle);
    ip('-n', this.middle, 'link', 'add', bridge, 'type', 'bridge');
    ip('-n', this.middle, 'link', 'set', bridge, 'up');
    for (const [i, space] of this.spaces.entries()) {
      const plug = `plug${i}`;
      ip('netns', 'add', space);
      ip('-n', space, 'link', 'set', 'lo', 'up');
      ip('-n', space, 'link', 'add', cable, 'type', 'veth', 'peer', 'name', plug, 'netns', this.middle);
      ip('-n', this.middle, 'link', 'set', plug, 'master', bridge, 'up');
      ip('-n', space, 'address', 'add', `${this.addresses[i]}/24`, 'dev', cable);
      ip('-n', space, 'link', 'set', cable, 'up');
    }
    const cases = this.spaces.map((space, i) => `${this.addresses[i]}) space=${space} name=${this.names[i]};;`);
    // Options, the host, the words of a command for its shell.
    writeFileSync(
      agent,
      `#!/bin/sh
while [ "\${1#-}" != "$1" ]; do shift; done
host=$1; shift
case $host in ${cases.join(' ')} esac
exec ip netns exec $space unshare -u sh -c "hostname $name; $*"
`,
    );
    chmodSync(agent, 0o755);
  }

  /** A call of `ip` that runs a command on the first host. */
  onFirst(command: string): string[] {
    return ['netns', 'exec', this.spaces[0], 'unshare', '-u', 'sh', '-c', `hostname ${this.names[0]}; exec ${command}`];
  }

  setCable(state: 'up' | 'down'): void {
    ip('-n', this.spaces[0], 'link', 'set', cable, state);
  }

  /**
   * Lets so many bits pass in a second, in each direction. What two milliseconds let pass may go at once, and 256 KiB:
   * so a timer that is late takes nothing from the rate.
   */
  slowDown(bits: number): void {
    const burst = Math.max(2 ** 18, Math.round((bits / 8) * 2e-3));
    for (const space of this.spaces) {
      const rate = ['rate', `${Math.round(bits)}bit`, 'burst', `${burst}b`, 'latency', '50ms'];
      execFileSync('tc', ['-n', space, 'qdisc', 'replace', 'dev', cable, 'root', 'tbf', ...rate], { stdio: 'pipe' });
    }
  }

  remove(): void {
    for (const space of [...this.spaces, this.middle]) ip('netns', 'delete', space);
  }
}
