// Carries one case out with the library, in every way that there is, and says how each went.
import { type Case, type Data, hasIntegralFloat, isTensorData, NotExpressible } from './case.ts';
import { intendedRow } from './intended.ts';
import { runFunction, runModule } from './run_calls.ts';
import { runInit, runOptimizer, runSchedule } from './run_optim.ts';
import { ArgumentNotAvailable } from './signature.ts';
import { functionRows } from './table.ts';
import { Found, failures, type Seen, type Verdict } from './verdict.ts';

const isImage = (data: Data): boolean => isTensorData(data) && (data.shape.length === 4 || data.shape.length === 5);

/** The ways in which a case is carried out. Functions and layers of images get them in the other memory format too. */
function waysOf(given: Case): string[] {
  const { source } = given;
  if (given.kind === 'module')
    return source === 'sample' && given.args?.some(isImage) ? [source, 'channelsLast'] : [source];
  if (given.kind !== 'function') return [source];
  if (given.variant === 'inplace') return ['inplace'];
  if (source !== 'sample') return ['function'];
  const ways = ['function'];
  if (functionRows.get(given.name)?.method) ways.push('method');
  if (given.args.some(isImage)) ways.push('channelsLast');
  return ways;
}

function run(given: Case, way: string, seen: Seen, say: (text: string) => void): void {
  if (given.expected.unavailable !== undefined) throw new ArgumentNotAvailable(given.expected.unavailable);
  if (given.kind === 'function') runFunction(given, way, seen, say);
  else if (given.kind === 'module') runModule(given, way, say);
  else if (given.kind === 'optimizer') runOptimizer(given, say);
  else if (given.kind === 'scheduler') runSchedule(given, say);
  else runInit(given, say);
}

function runOne(given: Case, way: string): Verdict {
  const { id, kind, name, source, dtype } = given;
  const verdict: Verdict = { id, kind, name, way, source, dtype, outcome: 'agrees', aspect: '', detail: '', call: '' };
  const seen: Seen = { args: [], outputs: [] };
  try {
    run(given, way, seen, (text) => {
      verdict.call = text;
    });
    return verdict;
  } catch (error) {
    const { message: detail } = error as Error;
    if (error instanceof ArgumentNotAvailable || error instanceof NotExpressible)
      return { ...verdict, outcome: 'argument not available', aspect: 'call', detail };
    if (!(error instanceof Found)) throw error;
    const { outcome, aspect } = error;
    // Said by the library itself, in words: the dtype is one that the operation does not have.
    if (outcome === 'raised' && /not implemented for/.test(detail))
      return { ...verdict, outcome: 'argument not available', aspect, detail: `dtype ${dtype}` };
    Object.assign(verdict, { outcome, aspect, detail });
  }
  if (!failures.includes(verdict.outcome)) return verdict;
  const hasFloat =
    given.kind === 'function' && [...given.args, ...given.kwargs.map(([, value]) => value)].some(hasIntegralFloat);
  const row = intendedRow({ verdict, seen, hasIntegralFloat: hasFloat, expected: given.expected });
  return row ? { ...verdict, outcome: 'intended', row: row.id } : verdict;
}

export const runCase = (given: Case): Verdict[] => waysOf(given).map((way) => runOne(given, way));
