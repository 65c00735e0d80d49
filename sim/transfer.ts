import type { UploadId } from '../core/agent-input.ts';
import type { Bytes, ChunkIndex } from '../core/ids.ts';
import type { FlowId } from './network.ts';
import type { VirtualAgent } from './virtual-agent.ts';

/**
 * One request for a chunk, to its end. asked -> flowing -> landing (the last byte is on its way, or being verified)
 * -> over; or over at any time.
 */
export type Transfer = {
  readonly chunk: ChunkIndex;
  readonly lengthBytes: Bytes;
  readonly receiver: VirtualAgent;
  /** `undefined`: the origin. */
  readonly sender: VirtualAgent | undefined;
  phase: 'asked' | 'flowing' | 'landing' | 'over';
  /** The sender's name for it, once it has heard of it. */
  upload: UploadId | undefined;
  flow: FlowId | undefined;
  /** The sender had not verified the chunk when it began to send it. */
  passedOn: boolean;
  isCorrupt: boolean;
  /** The first `chunk-progressed` has been told. */
  hasBegun: boolean;
  /** Sent bytes at the last progress that was told. */
  toldBytes: Bytes;
};
