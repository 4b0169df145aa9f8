// The page: trains here and in a module worker, and shows what came out.
import { refusals, train } from './train.ts';

async function inWorker(): Promise<unknown> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => resolve({ error: message });
  });
}

const safely = (run: () => Promise<unknown>) =>
  run().catch((error: Error) => ({ error: `${error.name}: ${error.message}` }));
const results = { page: await safely(train), worker: await safely(inWorker), refusals: await safely(refusals) };
const shown = document.createElement('pre');
shown.textContent = JSON.stringify(results, null, 2);
document.body.append(shown);
