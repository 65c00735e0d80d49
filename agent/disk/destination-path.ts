import type { Stats } from 'node:fs';
import { access, constants, lstat, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Manifest } from '../../core/manifest.ts';
import { errnoOf, fileError, ifExists } from './file-error.ts';

const PARTIAL_SUFFIX = '.starling-partial';

/** Where a job is to be placed, without symlinks on the way: one destination has one name, and so one lock. */
export type DestinationPath = {
  readonly path: string;
  readonly parent: string;
  /** Beside the destination, so that a rename within one file system places the job. */
  readonly partial: string;
};

/**
 * A destination that is itself a symlink means what it points to. Throws `usage` for a file's job below a name that
 * ends in `/`, and `destination-unwritable` for what can never be renamed into place: a missing or read-only parent, a
 * mount point, a place inside a partial download.
 */
export async function resolveDestination(dest: string, root: Manifest['root']): Promise<DestinationPath> {
  if (dest === '') throw unwritable('the destination is empty', 'name a path with --dest');
  if (root === 'file' && dest.endsWith('/')) {
    throw new StarlingError('usage', `the job is a single file, and the destination ${dest} ends with "/"`, {
      next: 'name the file itself: --dest <directory>/<name>',
    });
  }
  const path = await realDestination(resolve(dest));
  const parent = dirname(path);
  if (parent === path) throw unwritable(`${path} cannot be replaced`, 'name a directory inside it with --dest');
  if (path.split(sep).some(name => name.endsWith(PARTIAL_SUFFIX))) {
    throw unwritable(`${path} lies in an unfinished download`, 'name another place with --dest');
  }
  if (Buffer.byteLength(basename(path) + PARTIAL_SUFFIX) > config.manifest.nameBytesMax) {
    throw unwritable(`the name of ${path} is too long`, `choose one of ${PARTIAL_SUFFIX.length} bytes less than fits`);
  }
  await checkParent(parent);
  await checkNoMount(path, parent);
  return { path, parent, partial: `${path}${PARTIAL_SUFFIX}` };
}

async function realDestination(path: string): Promise<string> {
  try {
    const stats: Stats | undefined = await ifExists(lstat(path));
    if (stats?.isSymbolicLink()) return await realpath(path);
    return join(await realpath(dirname(path)), basename(path));
  } catch (cause) {
    const isDangling = errnoOf(cause) === 'ENOENT' && (await ifExists(lstat(path))) !== undefined;
    if (isDangling)
      throw unwritable(`${path} is a symlink that leads nowhere`, 'remove the link, or create its target');
    throw fileError('destination-unwritable', `cannot use ${path} as the destination`, cause, {
      next: `check that the directory ${dirname(path)} exists and can be entered`,
    });
  }
}

async function checkParent(parent: string): Promise<void> {
  try {
    const stats = await stat(parent);
    if (!stats.isDirectory()) throw unwritable(`${parent} is not a directory`, 'name another place with --dest');
    await access(parent, constants.W_OK | constants.X_OK);
  } catch (cause) {
    if (cause instanceof StarlingError) throw cause;
    throw fileError('destination-unwritable', `cannot write to ${parent}`, cause, {
      next: `make ${parent} writable for this user, or name another place with --dest`,
    });
  }
}

async function checkNoMount(path: string, parent: string): Promise<void> {
  const stats: Stats | undefined = await ifExists(lstat(path));
  if (stats === undefined || stats.dev === (await stat(parent)).dev) return;
  throw unwritable(
    `${path} is a mount point, which cannot be replaced`,
    `name a directory inside it: --dest ${path}/...`,
  );
}

function unwritable(message: string, next: string): StarlingError {
  return new StarlingError('destination-unwritable', message, { next });
}
