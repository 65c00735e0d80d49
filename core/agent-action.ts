import type { ChunkSource, UploadId } from './agent-input.ts';
import type { AgentId, ChunkIndex, Millis } from './ids.ts';
import type { PeerEntry, PeerMessage, PeerUpdate } from './peer-message.ts';
import type { Announce } from './tracker-message.ts';

/**
 * Orders, to be carried out in their order. The driver (agent/driver.ts) and the simulator's virtual agent each hold
 * one exhaustive switch over them: what the simulator proves is what the agent does.
 */
export type AgentAction =
  /** At most one announce is under way; the next input about it is `tracker-answered` or `tracker-failed`. */
  | { readonly kind: 'announce'; readonly announce: AnnounceContent }
  /** Make a link; answered by `peer-connected` or `peer-disconnected`. */
  | { readonly kind: 'connect'; readonly peer: PeerEntry }
  /** Close the link; not answered by `peer-disconnected`. Its transfers break off and end by their own inputs. */
  | { readonly kind: 'disconnect'; readonly peer: AgentId; readonly why: string }
  | { readonly kind: 'tell'; readonly peer: AgentId; readonly message: PeerMessage }
  /** The same to every connected neighbour. */
  | { readonly kind: 'tell-all'; readonly message: PeerUpdate }
  | { readonly kind: 'request-chunk'; readonly peer: AgentId; readonly chunk: ChunkIndex }
  | { readonly kind: 'pull-from-origin'; readonly chunk: ChunkIndex }
  /** Stop the transfer and free what it holds; answered by `chunk-failed` / `cancelled` unless it just ended. */
  | { readonly kind: 'cancel-transfer'; readonly chunk: ChunkIndex; readonly source: ChunkSource; readonly why: string }
  /** Send what is on disk, and what arrives as it arrives. */
  | { readonly kind: 'serve-chunk'; readonly upload: UploadId; readonly chunk: ChunkIndex }
  | { readonly kind: 'refuse-upload'; readonly upload: UploadId; readonly refusal: UploadRefusal }
  /** The source of a chunk that we pass on failed: break the upload off so that the receiver can tell. */
  | { readonly kind: 'stop-upload'; readonly upload: UploadId }
  /** For logs and status; the state has already acted on it. */
  | {
      readonly kind: 'note-quarantine';
      readonly peer: AgentId;
      readonly reason: QuarantineReason;
      readonly forMs: Millis;
    }
  /** Every chunk is verified on disk; said once. The state goes on serving. */
  | { readonly kind: 'complete' }
  /** The job cannot be fetched; said once, nothing follows. */
  | { readonly kind: 'fail'; readonly failure: JobFailure };

/** What the state knows of an {@link Announce}; the driver adds who and where the agent is. */
export type AnnounceContent = Omit<
  Announce,
  | 'job'
  | 'manifestDigest'
  | 'chunkLengthBytes'
  | 'agentId'
  | 'bootId'
  | 'host'
  | 'port'
  | 'zone'
  | 'linkBytesPerSecond'
  | 'progress'
>;

export type UploadRefusal =
  | { readonly kind: 'busy'; readonly retryAfterMs: Millis }
  | { readonly kind: 'gone' }
  | { readonly kind: 'quarantined' };

export type QuarantineReason = 'corrupt' | 'wrong-length' | 'stalled' | 'unreliable' | 'protocol' | 'unreachable';

export type JobFailure =
  /** The origin's bytes do not have the manifest's hash, again and again. */
  | { readonly kind: 'origin-corrupt'; readonly chunk: ChunkIndex }
  /** The origin refuses the chunk in a way that no retry will change. */
  | { readonly kind: 'origin-refused'; readonly chunk: ChunkIndex; readonly why: string };
