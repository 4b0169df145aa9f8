// Finds the native addon: the places where it may be, and whether its file is complete. If none can be used, says which
// files were tried and why not.
import { RuntimeError } from '../errors.ts';
import { hasNodeModules, nodeModule } from '../files/node.ts';

/** A file beside the addon with its length and checksum. Loading an addon that is cut off would end the process. */
export const manifestOf = (addon: string): string => `${addon}.json`;

/** An environment variable; undefined if it is empty, if there are none, or if Deno does not allow to read it. */
export function environment(name: string): string | undefined {
  try {
    return globalThis.process?.env?.[name] || undefined;
  } catch {
    return undefined;
  }
}

/** What is wrong with the file of an addon; null if it is complete. */
function problemOf(path: string, isOwn: boolean): string | null {
  const { existsSync, readFileSync } = nodeModule('setEngine', 'fs');
  if (!existsSync(path)) return 'there is no such file';
  const manifest = manifestOf(path);
  // A file that the user has named needs no manifest.
  if (!existsSync(manifest)) return isOwn ? null : `${manifest}, which says how long it must be, is missing`;
  const bytes = readFileSync(path);
  let expected: { bytes?: unknown; sha256?: unknown };
  try {
    expected = JSON.parse(readFileSync(manifest, 'utf8')) ?? {};
  } catch {
    return `${manifest} is damaged`;
  }
  if (bytes.length !== expected.bytes) return `it has ${bytes.length} bytes instead of ${expected.bytes}`;
  const sha256 = nodeModule('setEngine', 'crypto').createHash('sha256').update(bytes).digest('hex');
  return sha256 === expected.sha256 ? null : 'its checksum is wrong: it is damaged';
}

/** The exports of the addon, or a sentence for the user that says why there are none. */
export function loadAddon(): { addon: unknown; reason: string } {
  if (!hasNodeModules()) return { addon: null, reason: 'it takes Node.js, Deno or Bun' };
  const { createRequire } = nodeModule('setEngine', 'module');
  const { fileURLToPath } = nodeModule('setEngine', 'url');
  const path = nodeModule('setEngine', 'path');
  const own = environment('EVENKEEL_ADDON');
  const here = import.meta.url;
  // In a bundle there are no files beside this module.
  if (!own && !here.startsWith('file:')) return { addon: null, reason: `${here} is no file that one could lie beside` };
  // From src/device/ or dist/device/: what was built here, then what the package carries. An explicit path serves
  // builds with sanitizers or with all instruction sets.
  const candidates = own
    ? [path.resolve(own)]
    : ['build/native', `prebuilds/${process.platform}-${process.arch}`].map((folder) =>
        // Not a URL relative to this module, which bundlers of servers would take for a file to copy.
        path.resolve(fileURLToPath(here), '../../..', folder, 'evenkeel.node'),
      );
  const reasons: string[] = [];
  for (const candidate of candidates) {
    let problem: string | null;
    try {
      problem = problemOf(candidate, own !== undefined);
      if (!problem) return { addon: createRequire(candidate)(candidate), reason: '' };
    } catch (error) {
      problem = (error instanceof Error ? error.message : String(error)).replaceAll(`${candidate}: `, '');
    }
    reasons.push(`${candidate}: ${problem}`);
  }
  if (own) throw new RuntimeError(`[setEngine] EVENKEEL_ADDON cannot be loaded: ${reasons[0]}`);
  return { addon: null, reason: reasons.join('; ') };
}
