import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from './file-error.ts';

/**
 * As `mkdir -p`. Node's own `recursive: true` never returns where a file system answers ENOENT below a directory that
 * exists, as /proc does (Node 24.21): it takes that for a missing parent, for ever. Throws what mkdir throws.
 */
export async function makeDirectories(path: string, mode = 0o777): Promise<void> {
  if ((await tryMake(path, mode)) === 'made') return;
  const parent = dirname(path);
  if (parent !== path) await makeDirectories(parent, mode);
  // What is missing now is not the parent.
  await mkdir(path, { mode }).catch(ignoreExisting);
}

async function tryMake(path: string, mode: number): Promise<'made' | 'parent-missing'> {
  try {
    await mkdir(path, { mode });
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return 'parent-missing';
    ignoreExisting(cause);
  }
  return 'made';
}

/** A file in the way shows at the first use below it, as ENOTDIR. */
function ignoreExisting(cause: unknown): void {
  if (errnoOf(cause) !== 'EEXIST') throw cause;
}
