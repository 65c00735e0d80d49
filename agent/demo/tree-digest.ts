import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bytes } from '../../core/ids.ts';

const SLICE_BYTES = 1024 * 1024;

export type TreeDigest = {
  /** Equal if and only if names, kinds, modes, link targets and bytes are. */
  readonly sha256: string;
  readonly lengthBytes: Bytes;
};

/**
 * A file's or directory's whole content in one SHA-256. It shares nothing with the manifest's code on purpose: the demo
 * must notice if that is wrong. The name of the root itself does not count, for the copy has another one.
 */
export async function digestTree(root: string, signal: AbortSignal): Promise<TreeDigest> {
  const hash = createHash('sha256');
  let lengthBytes = 0;
  const visit = async (path: string, name: string): Promise<void> => {
    const stat = await lstat(path);
    const head = (kind: string, rest: string): void => {
      hash.update(JSON.stringify([kind, name, rest]));
    };
    if (stat.isDirectory()) {
      // The root's mode is not of the job: it is the destination's.
      head('directory', name === '' ? '' : modeText(stat.mode));
      const names = (await readdir(path)).sort();
      for (const child of names) await visit(join(path, child), `${name}/${child}`);
    } else if (stat.isSymbolicLink()) {
      head('symlink', await readlink(path));
    } else {
      head('file', `${modeText(stat.mode)} ${stat.size}`);
      lengthBytes += stat.size;
      for await (const slice of createReadStream(path, { highWaterMark: SLICE_BYTES, signal })) hash.update(slice);
    }
  };
  await visit(root, '');
  return { sha256: hash.digest('hex'), lengthBytes };
}

function modeText(mode: number): string {
  return (mode & 0o777).toString(8);
}
