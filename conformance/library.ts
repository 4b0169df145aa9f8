// The library in a child process (worker.ts), which is started anew where a case ended it or took too long.
import { fileURLToPath } from 'node:url';
import { type LinePeer, startLinePeer } from '../scripts/line_peer.ts';
import type { Case } from './case.ts';
import type { Verdict } from './verdict.ts';

/** Milliseconds after which a case counts as hanging: the largest take some seconds. */
const patience = 120_000;

export interface Library {
  judge(line: string): Promise<Verdict[]>;
  close(): void;
}

export function startLibrary(engine: string): Library {
  const start = (): LinePeer =>
    startLinePeer(process.execPath, ['--import', 'tsx', fileURLToPath(new URL('worker.ts', import.meta.url)), engine]);
  let peer = start();
  return {
    async judge(line) {
      peer.send(line);
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        peer.close();
      }, patience);
      const answer = await peer.receive();
      clearTimeout(timer);
      if (answer !== null) return JSON.parse(answer) as Verdict[];
      const detail = isLate ? `no answer within ${patience / 1000} s` : `the process ended: ${await peer.ended()}`;
      peer = start();
      const { id, kind, name, source, dtype, ...rest } = JSON.parse(line) as Case;
      const way = 'variant' in rest ? rest.variant : source;
      return [{ id, kind, name, way, source, dtype, outcome: 'crash', aspect: 'process', detail, call: '' }];
    },
    close: () => peer.close(),
  };
}
