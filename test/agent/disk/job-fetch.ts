import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { type Destination, type DestinationRequest, openDestination } from '../../../agent/disk/destination.ts';
import type { PartialTree } from '../../../agent/disk/partial-tree.ts';
import { assert } from '../../../core/assert.ts';
import { type Job, jobOf, MIXED, MIXED_CHUNK_BYTES, someBytes } from './job-tree.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export const mixed = jobOf(MIXED, MIXED_CHUNK_BYTES);
export const single = jobOf({ 'model.bin': { bytes: someBytes(250_000, 1), mode: 0o640 } }, 100_000, 'file');

/** The report of a tree without a fault. */
export const whole = { badChunks: [], badFiles: [], missing: [], extra: [] };

export async function freshDest(): Promise<string> {
  return join(await temporaryDirectory(), 'dest');
}

/** Closed when the test is over, if it was not by the test. */
export async function open(job: Job, dest: string, more: Partial<DestinationRequest> = {}): Promise<Destination> {
  const opened = await openDestination({ manifest: job.manifest, manifestBytes: job.manifestBytes, dest, ...more });
  onTestFinished(() => opened.close().catch(() => undefined));
  return opened;
}

export async function openPartial(
  job: Job,
  dest: string,
  more: Partial<DestinationRequest> = {},
): Promise<PartialTree> {
  const opened = await open(job, dest, more);
  assert(opened.kind === 'partial', 'the destination is complete already');
  return opened;
}

/** Every chunk of `chunks` that is not had. */
export async function receive(
  partial: PartialTree,
  job: Job,
  chunks: Iterable<number> = job.chunks.keys(),
): Promise<void> {
  for (const chunk of chunks) {
    if (partial.store.have.has(chunk)) continue;
    const receiver = partial.store.receive(chunk);
    await receiver.write(job.chunks[chunk] ?? new Uint8Array());
    expect(await receiver.finish()).toBe('verified');
  }
}

export async function fetchTo(job: Job, dest: string, more: Partial<DestinationRequest> = {}): Promise<void> {
  const partial = await openPartial(job, dest, more);
  await receive(partial, job);
  await partial.place();
  await partial.close();
}

export function code(expected: string): unknown {
  return expect.objectContaining({ code: expected });
}
