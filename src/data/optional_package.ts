// Packages that only some functions need, and that users install beside this one.
import { MissingPackageError } from './errors.ts';

/**
 * What a package exports.
 * @param op the function that the user called.
 * @param purpose what the package does, for the error: 'decodes images'.
 * @throws MissingPackageError, which says what to install.
 */
export async function optionalPackage<T>(
  op: string,
  name: string,
  purpose: string,
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw new MissingPackageError(op, name, purpose, cause as Error);
  }
}
