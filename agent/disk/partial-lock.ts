import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import * as z from 'zod/mini';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import { diskError, errnoOf, fileError, ifExists } from './file-error.ts';
import { makeDirectories } from './make-directories.ts';

/** One run of one process: a pid alone is given to another one day, and so is (pid, start) after a reboot. */
const holderSchema = z.object({ pid: z.int(), startedAt: z.string(), boot: z.string() });
type Holder = z.output<typeof holderSchema>;

/**
 * Who works in a partial directory: one process at a time. A lock whose process is dead is taken over. Processes that
 * do not see each other (containers that share a volume, two machines on one network disk) are not kept apart.
 */
export class PartialLock {
  readonly #directory: string;
  readonly #path: string;
  readonly #text: string;

  private constructor(directory: string, path: string, text: string) {
    this.#directory = directory;
    this.#path = path;
    this.#text = text;
  }

  /** Makes the directory if there is none. Throws `destination-locked` naming the process, or `destination-unwritable`. */
  static async take(directory: string): Promise<PartialLock> {
    const path = join(directory, 'lock');
    const text = JSON.stringify(await holderOf(process.pid));
    for (let tries = 0; tries < config.disk.lockTriesMax; tries += 1) {
      await makeDirectory(directory);
      if (await create(path, text)) return new PartialLock(directory, path, text);
      const held = await ifExists(readFile(path, 'utf8'));
      if (held === undefined) continue;
      const holder = parseHolder(held);
      if (holder && (await isAlive(holder))) throw locked(directory, holder.pid);
      await removeStale(path, held);
    }
    throw new StarlingError(
      'destination-locked',
      `${directory} is taken and freed by other processes again and again`,
      {
        next: 'see which other fetches write there, then run the command again',
      },
    );
  }

  /** Nothing if it is not ours any more. A directory with nothing else in it goes with its lock. */
  async release(): Promise<void> {
    if ((await ifExists(readFile(this.#path, 'utf8'))) !== this.#text) return;
    await rm(this.#path, { force: true });
    try {
      await rmdir(this.#directory);
    } catch (cause) {
      // There is something to go on with, or another process has just taken the lock, or removed it all.
      const errno = errnoOf(cause);
      if (errno !== 'ENOTEMPTY' && errno !== 'EEXIST' && errno !== 'ENOENT')
        throw diskError('remove', this.#directory, cause);
    }
  }
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await makeDirectories(directory, 0o700);
  } catch (cause) {
    throw fileError('destination-unwritable', `cannot create ${directory}`, cause, {
      next: 'make the directory above writable for this user, or name another place with --dest',
    });
  }
}

/** Appears whole or not at all: a file made by O_EXCL would stand empty for a moment. */
async function create(path: string, text: string): Promise<boolean> {
  const own = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(own, text, { flag: 'wx', mode: 0o600 });
    await link(own, path);
    return true;
  } catch (cause) {
    // ENOENT: whoever was here before removed the directory.
    if (errnoOf(cause) === 'EEXIST' || errnoOf(cause) === 'ENOENT') return false;
    throw diskError('lock', path, cause);
  } finally {
    await rm(own, { force: true });
  }
}

/**
 * Two processes may find the same dead lock. Each moves what stands there aside and looks at it again: whoever moved a
 * lock that is not the dead one puts it back.
 */
async function removeStale(path: string, stale: string): Promise<void> {
  const aside = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`;
  const moved = await ifExists(rename(path, aside).then(() => true));
  if (moved === undefined) return;
  if ((await readFile(aside, 'utf8')) === stale) return rm(aside, { force: true });
  await link(aside, path).catch(cause => {
    if (errnoOf(cause) !== 'EEXIST') throw diskError('lock', path, cause);
  });
  await rm(aside, { force: true });
}

function parseHolder(text: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(text));
  } catch {
    return undefined; // Torn by a power loss: whoever wrote it is gone.
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  const now = await holderOf(holder.pid);
  return now !== undefined && now.startedAt === holder.startedAt && now.boot === holder.boot;
}

/** `undefined` if there is no such process. Where there is no /proc, a live pid is all that can be known. */
async function holderOf(pid: number): Promise<Holder | undefined> {
  const boot = (await ifExists(readFile('/proc/sys/kernel/random/boot_id', 'utf8')))?.trim();
  if (boot === undefined) return isRunning(pid) ? { pid, startedAt: '', boot: '' } : undefined;
  const stat = await ifExists(readFile(`/proc/${pid}/stat`, 'utf8'));
  if (stat === undefined) return undefined;
  // Field 22 of proc(5); the second, the command's name, stands in brackets and may hold anything.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (state === 'Z' || state === 'X') return undefined;
  return { pid, startedAt: fields[18] ?? '', boot };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return errnoOf(cause) === 'EPERM';
  }
}

function locked(directory: string, pid: number): StarlingError {
  return new StarlingError('destination-locked', `process ${pid} is writing to ${directory}`, {
    next: `wait until it is done, or stop it (kill ${pid}), then run the command again`,
  });
}
