// The module worker of page.ts.
import { train } from './train.ts';

train().then(
  (result) => postMessage(result),
  (error: Error) => postMessage({ error: `${error.name}: ${error.message}` }),
);
