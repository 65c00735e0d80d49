import { lstat, statfs } from 'node:fs/promises';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes } from '../../core/ids.ts';
import type { Manifest } from '../../core/manifest.ts';
import { eachLimited } from './each-limited.ts';
import { diskError, ifExists } from './file-error.ts';
import { locateEntry } from './tree-location.ts';

/** stat(2) counts blocks of this length, whatever those of the file system are. */
const STAT_BLOCK_BYTES = 512;

/**
 * Throws `disk-full` with figures if what is still missing of the job does not fit beside `directory`, in bytes or in
 * inodes. Files are sparse until they are written: later `disk-full` errors can only come from what others write.
 */
export async function checkFreeSpace(
  manifest: Manifest,
  place: { readonly directory: string; readonly treeRoot: string },
): Promise<void> {
  const present = await presentTree(manifest, place.treeRoot);
  const missingEntries = manifest.entries.length - present.entryCount;
  const spareBytes = config.disk.spareBytes + missingEntries * config.disk.spareBytesPerEntry;
  const neededBytes = manifest.lengthBytes - present.allocatedBytes + spareBytes;
  const free = await statfs(place.directory).catch(cause => {
    throw diskError('measure the free space of', place.directory, cause);
  });
  const freeBytes = free.bavail * free.bsize;
  if (freeBytes < neededBytes) {
    const figures = `${neededBytes} bytes are needed, ${freeBytes} are free`;
    throw new StarlingError('disk-full', `not enough space in ${place.directory}: ${figures}`, {
      next: `free ${neededBytes - freeBytes} bytes there, or name another place with --dest`,
    });
  }
  // Some file systems have no fixed number of inodes and tell 0 of 0.
  if (free.files > 0 && free.ffree < missingEntries) {
    const figures = `${missingEntries} are needed, ${free.ffree} are free`;
    throw new StarlingError('disk-full', `not enough inodes in ${place.directory}: ${figures}`, {
      next: 'remove files there, or name another place with --dest',
    });
  }
}

/** What an earlier run left. Blocks beyond a file's length are not counted: they hold nothing of the job. */
async function presentTree(
  manifest: Manifest,
  treeRoot: string,
): Promise<{ readonly entryCount: number; readonly allocatedBytes: Bytes }> {
  if ((await ifExists(lstat(treeRoot))) === undefined) return { entryCount: 0, allocatedBytes: 0 };
  let entryCount = 0;
  let allocatedBytes = 0;
  await eachLimited(manifest.entries, async entry => {
    const stats = await ifExists(lstat(locateEntry(manifest.root, { kind: 'partial', root: treeRoot }, entry.path)));
    if (stats === undefined) return;
    entryCount += 1;
    if (entry.kind === 'file') allocatedBytes += Math.min(stats.blocks * STAT_BLOCK_BYTES, entry.lengthBytes);
  });
  return { entryCount, allocatedBytes };
}
