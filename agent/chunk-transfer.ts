import type { ChunkFailure, ChunkSource } from '../core/agent-input.ts';
import type { Bytes, ChunkIndex } from '../core/ids.ts';
import type { ChunkStore } from './disk/chunk-store.ts';

export type TransferOutcome =
  | { readonly kind: 'verified' }
  | { readonly kind: 'failed'; readonly failure: ChunkFailure; readonly receivedBytes: Bytes }
  /** Our own disk failed: the run cannot go on. */
  | { readonly kind: 'disk-failed'; readonly cause: unknown };

/** How the bytes came: all of them, or not. */
export type ReceiveOutcome =
  | { readonly kind: 'received'; readonly passedOn: boolean }
  | { readonly kind: 'failed'; readonly failure: ChunkFailure };

export type TransferRequest = {
  readonly chunk: ChunkIndex;
  readonly source: ChunkSource;
  readonly store: ChunkStore;
  readonly signal: AbortSignal;
  /** Called for every slice that is on its way to the disk. */
  readonly onSlice: (bytes: Bytes) => void;
  /** Hands every slice to `sink`, in order, awaiting each. */
  readonly receive: (sink: (slice: Uint8Array) => Promise<void>) => Promise<ReceiveOutcome>;
};

/** One chunk from one source onto the disk, verified or given up. Never rejects; ends its receiver in every case. */
export async function transferChunk(request: TransferRequest): Promise<TransferOutcome> {
  const receiver = request.store.receive(request.chunk);
  let receivedBytes = 0;
  let diskFailure: { readonly cause: unknown } | undefined;
  const sink = async (slice: Uint8Array): Promise<void> => {
    receivedBytes += slice.length;
    try {
      const written = receiver.write(slice);
      request.onSlice(slice.length);
      await written;
    } catch (cause) {
      diskFailure = { cause };
      throw cause;
    }
  };
  try {
    const outcome = await request.receive(sink);
    if (diskFailure) return await giveUp({ kind: 'disk-failed', ...diskFailure });
    if (outcome.kind === 'failed') {
      const failure = request.signal.aborted ? ({ kind: 'cancelled' } as const) : outcome.failure;
      return await giveUp({ kind: 'failed', failure, receivedBytes });
    }
    if ((await receiver.finish()) === 'verified') return { kind: 'verified' };
    const failure = { kind: 'corrupt', passedOn: outcome.passedOn } as const;
    return { kind: 'failed', failure, receivedBytes };
  } catch (cause) {
    // `receive` turns what the source does wrong into values: what is thrown here is the disk's.
    return await giveUp({ kind: 'disk-failed', cause: diskFailure?.cause ?? cause });
  }

  async function giveUp(outcome: TransferOutcome): Promise<TransferOutcome> {
    await receiver.abort();
    return outcome;
  }
}
