import { randomBytes } from 'node:crypto';
import { lstat, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '../../core/assert.ts';
import { ChunkSet } from '../../core/chunk-set.ts';
import { ChunkSpans } from '../../core/chunk-spans.ts';
import { StarlingError } from '../../core/errors.ts';
import { type AgentId, type Bytes, parseAgentId } from '../../core/ids.ts';
import type { Manifest } from '../../core/manifest.ts';
import { type CheckProgress, checkChunks } from './chunk-check.ts';
import type { DestinationPath } from './destination-path.ts';
import { diskError, ifExists } from './file-error.ts';
import { checkFreeSpace } from './free-space.ts';
import { HaveJournal } from './have-journal.ts';
import type { PartialLock } from './partial-lock.ts';
import { putBack, removeTree, renameIntoPlace, settleTree } from './placement.ts';
import { makeTree } from './tree-skeleton.ts';
import { TreeStore } from './tree-store.ts';

export type PartialRequest = {
  readonly manifest: Manifest;
  /** Canonical; an earlier partial download goes on only if it has the same. */
  readonly manifestBytes: Uint8Array;
  readonly destination: DestinationPath;
  readonly existing: 'refuse' | 'replace';
  readonly lock: PartialLock;
  readonly onProgress?: ((progress: CheckProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
};

/**
 * A job that is being received beside its destination:
 *
 *     <dest>.starling-partial/
 *       tree/           files in place, pre-sized; directories; symlinks
 *       manifest.json   of which job: written first, removed first
 *       have.journal    which chunks were verified
 *       agent-id        the same agent after a restart
 *       replaced/       what stood at the destination, between the two renames of a replacement
 *       lock            by whom
 */
export class PartialTree {
  readonly kind = 'partial';
  /** Where it will be placed, without symlinks. */
  readonly path: string;
  readonly agentId: AgentId;
  readonly store: TreeStore;
  /** Verified on disk when it was opened. */
  readonly resumedBytes: Bytes;
  readonly #request: PartialRequest;
  readonly #journal: HaveJournal;
  #isPlaced = false;

  private constructor(
    request: PartialRequest,
    parts: { readonly agentId: AgentId; readonly have: ChunkSet; readonly journal: HaveJournal },
  ) {
    const { manifest, destination } = request;
    this.path = destination.path;
    this.agentId = parts.agentId;
    this.resumedBytes = sumOf(manifest, parts.have);
    this.#request = request;
    this.#journal = parts.journal;
    this.store = new TreeStore({
      manifest,
      have: parts.have,
      location: { kind: 'partial', root: treeOf(destination) },
      journal: chunk => parts.journal.append(chunk),
    });
  }

  /**
   * Go on with what an earlier run left, or begin. Of what was left, the chunks of the journal are hashed again and only
   * those that are right are had. Throws `destination-occupied` if it is of another job and must not be replaced,
   * `disk-full`, `disk-failed`, or the signal's reason. The lock is the tree's from here on, and the caller's again if this throws.
   */
  static async open(request: PartialRequest): Promise<PartialTree> {
    const { manifest, destination } = request;
    const left = await whatIsLeft(destination, request.manifestBytes);
    if (left === 'other' && request.existing === 'refuse') throw otherJob(destination.partial);
    if (left !== 'same') await wipe(destination);
    const space = { directory: destination.parent, treeRoot: treeOf(destination) };
    await checkFreeSpace(manifest, space);
    if (left !== 'same') await writeManifest(request);
    const agentId = await keptAgentId(destination);
    await makeTree(manifest, treeOf(destination), request.signal);
    const have = await verifiedChunks(request);
    const journal = await HaveJournal.start(journalOf(destination), have);
    return new PartialTree(request, { agentId, have, journal });
  }

  /**
   * All chunks are had: sync, rename into place, clean up; the store goes on serving from there. After a failure (as of
   * `renameIntoPlace` and `settleTree`) the partial download is as it was, and this may be called again.
   */
  async place(): Promise<void> {
    assert(this.store.have.isFull, 'an incomplete tree is placed');
    assert(!this.#isPlaced, 'a tree is placed twice');
    const { manifest, destination, existing } = this.#request;
    const treeRoot = treeOf(destination);
    await settleTree(manifest, treeRoot);
    await this.store.relocate({ kind: 'placed', destination: destination.path }, () =>
      renameIntoPlace({ manifest, treeRoot, destination, existing, aside: asideOf(destination) }),
    );
    this.#isPlaced = true;
    await this.#journal.close();
    try {
      await wipe(destination);
    } finally {
      await this.#request.lock.release();
    }
  }

  /** The store is closed with it; what is verified stays for the next run. */
  async close(): Promise<void> {
    await this.store.close();
    if (this.#isPlaced) return;
    await this.#journal.close();
    await this.#request.lock.release();
  }
}

/** After a crash between the two renames of a replacement nothing stands at the destination: put the old content back. */
export async function restoreAside(destination: DestinationPath): Promise<void> {
  const aside = asideOf(destination);
  if ((await ifExists(lstat(aside))) === undefined) return;
  if ((await ifExists(lstat(destination.path))) === undefined) await putBack(aside, destination);
}

/** A complete job stands at the destination: remove what a run that was killed while it cleaned up has left. */
export async function removeLeftover(destination: DestinationPath, manifestBytes: Uint8Array): Promise<void> {
  if ((await whatIsLeft(destination, manifestBytes)) !== 'other') await wipe(destination);
}

export function newAgentId(): AgentId {
  return parseAgentId(`a-${randomBytes(8).toString('hex')}`);
}

function asideOf(destination: DestinationPath): string {
  return join(destination.partial, 'replaced');
}

function treeOf(destination: DestinationPath): string {
  return join(destination.partial, 'tree');
}

function journalOf(destination: DestinationPath): string {
  return join(destination.partial, 'have.journal');
}

function manifestOf(destination: DestinationPath): string {
  return join(destination.partial, 'manifest.json');
}

async function whatIsLeft(
  destination: DestinationPath,
  manifestBytes: Uint8Array,
): Promise<'nothing' | 'same' | 'other'> {
  const path = manifestOf(destination);
  try {
    const bytes = await ifExists(readFile(path));
    if (bytes === undefined) return 'nothing';
    return bytes.equals(manifestBytes) ? 'same' : 'other';
  } catch (cause) {
    throw diskError('read', path, cause);
  }
}

/** All but the lock. The manifest goes first: without it the rest is nobody's. */
async function wipe(destination: DestinationPath): Promise<void> {
  await removeTree(manifestOf(destination));
  await removeTree(journalOf(destination));
  await removeTree(join(destination.partial, 'agent-id'));
  await removeTree(treeOf(destination));
  await removeTree(asideOf(destination));
}

/** Synced before there is a tree: a journal and a tree without their manifest are never taken for those of another. */
async function writeManifest(request: PartialRequest): Promise<void> {
  const path = manifestOf(request.destination);
  try {
    const handle = await open(`${path}.new`, 'w', 0o600);
    try {
      await handle.writeFile(request.manifestBytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(`${path}.new`, path);
  } catch (cause) {
    throw diskError('write', path, cause);
  }
}

async function keptAgentId(destination: DestinationPath): Promise<AgentId> {
  const path = join(destination.partial, 'agent-id');
  try {
    const text = await ifExists(readFile(path, 'utf8'));
    if (text !== undefined) return parseAgentId(text);
  } catch (cause) {
    if (!(cause instanceof StarlingError)) throw diskError('read', path, cause); // Torn by a power loss: a new one.
  }
  const agentId = newAgentId();
  await writeFile(path, agentId, { mode: 0o600 }).catch(cause => {
    throw diskError('write', path, cause);
  });
  return agentId;
}

async function verifiedChunks(request: PartialRequest): Promise<ChunkSet> {
  const { manifest, destination } = request;
  const claimed = await HaveJournal.read(journalOf(destination), manifest.chunks.length);
  const have = new ChunkSet(manifest.chunks.length);
  await checkChunks({
    manifest,
    spans: new ChunkSpans(manifest),
    location: { kind: 'partial', root: treeOf(destination) },
    chunks: [...claimed],
    onProgress: request.onProgress,
    signal: request.signal,
    onChecked: (chunk, problem) => {
      if (problem === undefined) have.add(chunk);
    },
  });
  return have;
}

function sumOf(manifest: Manifest, chunks: ChunkSet): Bytes {
  let sum = 0;
  for (const chunk of chunks) sum += manifest.chunks[chunk]?.lengthBytes ?? 0;
  return sum;
}

function otherJob(directory: string): StarlingError {
  return new StarlingError('destination-occupied', `${directory} holds the unfinished download of another job`, {
    next: 'finish that one, remove the directory, or use --replace to give it up',
  });
}
