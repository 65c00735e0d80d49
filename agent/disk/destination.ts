import type { Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { AssertionError } from '../../core/assert.ts';
import { ChunkSet } from '../../core/chunk-set.ts';
import { StarlingError } from '../../core/errors.ts';
import type { AgentId, Bytes } from '../../core/ids.ts';
import type { Manifest } from '../../core/manifest.ts';
import type { CheckProgress } from './chunk-check.ts';
import { type DestinationPath, resolveDestination } from './destination-path.ts';
import { diskError, ifExists } from './file-error.ts';
import { PartialLock } from './partial-lock.ts';
import { newAgentId, PartialTree, removeLeftover, restoreAside } from './partial-tree.ts';
import { inspectTree } from './tree-inspection.ts';
import { TreeStore } from './tree-store.ts';
import { isWhole, verifyBytes } from './verify-tree.ts';

export type DestinationRequest = {
  readonly manifest: Manifest;
  /** Canonical JSON of `manifest`. */
  readonly manifestBytes: Uint8Array;
  /** As the user named it. */
  readonly dest: string;
  /** Give up other content at the destination, and an unfinished download of another job. */
  readonly replace?: boolean;
  /** While bytes that are already there are hashed; may start again from 0 for another part. */
  readonly onProgress?: (progress: CheckProgress) => void;
  readonly signal?: AbortSignal;
};

export type Destination = CompleteTree | PartialTree;

/** The job lies at the destination already, every byte verified. */
export type CompleteTree = {
  readonly kind: 'complete';
  readonly path: string;
  readonly agentId: AgentId;
  readonly store: TreeStore;
  readonly resumedBytes: Bytes;
  /** What lies in the destination and is not of the job. */
  readonly extra: readonly string[];
  close(): Promise<void>;
};

type Standing =
  | { readonly kind: 'free' }
  | { readonly kind: 'complete'; readonly extra: readonly string[] }
  /** A directory where a file is to be is never replaced: mostly the file was meant to go inside. */
  | { readonly kind: 'other'; readonly why: string; readonly isInTheWay: boolean };

/**
 * Open the place where a job is to be: either it is complete there, or a partial tree beside it is ready to receive. Of
 * an earlier run, what still has the right hash is kept.
 *
 * Files that are not of the job do not stop a destination from being complete; with `replace` they do: then the
 * destination becomes exactly the job. Throws `usage`, `destination-unwritable`, `destination-occupied`,
 * `destination-locked`, `disk-full`, `disk-failed`, or the signal's reason.
 */
export async function openDestination(request: DestinationRequest): Promise<Destination> {
  const destination = await resolveDestination(request.dest, request.manifest.root);
  if ((await look(destination.partial)) === undefined) {
    // Look before anything is made: what is complete or refused leaves no trace.
    const standing = await whatStands(request, destination);
    if (standing.kind === 'complete') return completeTree(request.manifest, destination, standing.extra);
    refuseOther(request, destination, standing);
  }
  const lock = await takeLock(request, destination);
  if (!(lock instanceof PartialLock)) return lock;
  try {
    return await openLocked(request, destination, lock);
  } catch (cause) {
    await lock.release();
    throw cause;
  }
}

/** Another process at work there is no obstacle if the job is complete: it has just placed it, or works on the next. */
async function takeLock(
  request: DestinationRequest,
  destination: DestinationPath,
): Promise<PartialLock | CompleteTree> {
  try {
    return await PartialLock.take(destination.partial);
  } catch (cause) {
    if (!(cause instanceof StarlingError) || cause.code !== 'destination-locked') throw cause;
    const standing = await whatStands(request, destination);
    if (standing.kind !== 'complete') throw cause;
    return completeTree(request.manifest, destination, standing.extra);
  }
}

async function openLocked(
  request: DestinationRequest,
  destination: DestinationPath,
  lock: PartialLock,
): Promise<Destination> {
  const { manifest, manifestBytes, onProgress, signal } = request;
  await restoreAside(destination);
  const standing = await whatStands(request, destination);
  if (standing.kind === 'complete') {
    await removeLeftover(destination, manifestBytes);
    await lock.release();
    return completeTree(manifest, destination, standing.extra);
  }
  refuseOther(request, destination, standing);
  const existing = request.replace ? 'replace' : 'refuse';
  return PartialTree.open({ manifest, manifestBytes, destination, existing, lock, onProgress, signal });
}

async function whatStands(request: DestinationRequest, destination: DestinationPath): Promise<Standing> {
  const { manifest, onProgress, signal } = request;
  const stats = await look(destination.path);
  if (stats === undefined || (await isEmptyDirectory(manifest, destination.path, stats))) return { kind: 'free' };
  const isInTheWay = manifest.root === 'file' && stats.isDirectory();
  const other = (why: string): Standing => ({ kind: 'other', why, isInTheWay });
  const inspection = await inspectTree(manifest, destination.path);
  if (!isWhole(inspection)) return other(firstFault(inspection.bad, inspection.missing));
  const [extra] = inspection.extra;
  if (request.replace && extra !== undefined) return other(`${extra} is not of the job`);
  const report = await verifyBytes({ manifest, path: destination.path, onProgress, signal }, inspection);
  if (!isWhole(report)) return other(firstFault(report.badFiles, report.missing));
  return { kind: 'complete', extra: report.extra };
}

/** What a directory's job may take over without a word; for a job without entries it is the job itself. */
async function isEmptyDirectory(manifest: Manifest, path: string, stats: Stats): Promise<boolean> {
  if (manifest.root === 'file' || manifest.entries.length === 0 || !stats.isDirectory()) return false;
  const names = await readdir(path).catch(cause => {
    throw diskError('look at', path, cause);
  });
  return names.length === 0;
}

async function look(path: string): Promise<Stats | undefined> {
  try {
    return await ifExists(lstat(path));
  } catch (cause) {
    throw diskError('look at', path, cause);
  }
}

function refuseOther(request: DestinationRequest, destination: DestinationPath, standing: Standing): void {
  if (standing.kind !== 'other') return;
  if (request.replace && !standing.isInTheWay) return;
  throw new StarlingError('destination-occupied', `${destination.path} is not this job: ${standing.why}`, {
    next: standing.isInTheWay
      ? `name the file itself: --dest ${destination.path}/${request.manifest.entries[0]?.path}`
      : 'name another place with --dest, or use --replace to give up what is there',
  });
}

function firstFault(
  bad: readonly { readonly path: string; readonly problem: string }[],
  missing: readonly string[],
): string {
  const [fault] = bad;
  if (fault) return `${fault.path} ${fault.problem}`;
  return `${missing[0]} is missing`;
}

function completeTree(manifest: Manifest, destination: DestinationPath, extra: readonly string[]): CompleteTree {
  const store = new TreeStore({
    manifest,
    have: ChunkSet.full(manifest.chunks.length),
    location: { kind: 'placed', destination: destination.path },
    journal: () => Promise.reject(new AssertionError('a complete tree receives nothing')),
  });
  const { path } = destination;
  const resumedBytes = manifest.lengthBytes;
  return { kind: 'complete', path, agentId: newAgentId(), store, resumedBytes, extra, close: () => store.close() };
}
