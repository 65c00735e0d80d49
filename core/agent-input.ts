import type { AgentId, Bytes, ChunkIndex, Millis } from './ids.ts';
import type { PeerHello, PeerMessage } from './peer-message.ts';
import type { AnnounceAnswer } from './tracker-message.ts';

/** Names one upload; given by whoever drives the state, unique within a boot. */
export type UploadId = number;

export type ChunkSource = { readonly kind: 'origin' } | { readonly kind: 'peer'; readonly peer: AgentId };

/**
 * Facts that have happened; the only way to tell the state anything. Chunk bytes never come here.
 *
 * One request (`request-chunk`, `pull-from-origin`) gets: any number of `chunk-progressed`, then exactly one of
 * `chunk-verified` or `chunk-failed`, also after it was cancelled (`chunk-failed` with `cancelled`).
 */
export type AgentInput =
  | { readonly kind: 'tracker-answered'; readonly answer: AnnounceAnswer }
  /** `retryAfterMs`: the tracker asked for that much quiet. */
  | { readonly kind: 'tracker-failed'; readonly retryAfterMs: Millis | undefined }
  /** A link to the peer stands and its hello was read. Follows `connect`, or the peer came by itself. */
  | { readonly kind: 'peer-connected'; readonly hello: PeerHello }
  /** The link broke, or could not be made. The peer's requests and uploads get their own inputs. */
  | { readonly kind: 'peer-disconnected'; readonly peer: AgentId; readonly reason: DisconnectReason }
  | { readonly kind: 'peer-said'; readonly peer: AgentId; readonly message: PeerMessage }
  /** The peer asks us for a chunk; answered by `serve-chunk` or `refuse-upload`. */
  | { readonly kind: 'upload-asked'; readonly upload: UploadId; readonly peer: AgentId; readonly chunk: ChunkIndex }
  /** Last byte handed to the network, or given up; follows every `serve-chunk`. */
  | { readonly kind: 'upload-ended'; readonly upload: UploadId; readonly sentBytes: Bytes; readonly complete: boolean }
  /** The first time: the first bytes lie on disk and can be passed on. Later: at most every `progressIntervalMs`. */
  | {
      readonly kind: 'chunk-progressed';
      readonly chunk: ChunkIndex;
      readonly source: ChunkSource;
      /** The sender says that it only passes the chunk on: it has not verified it. */
      readonly passedOn: boolean;
    }
  /** All bytes are on disk and their SHA-256 is the manifest's. */
  | {
      readonly kind: 'chunk-verified';
      readonly chunk: ChunkIndex;
      readonly source: ChunkSource;
      readonly lengthBytes: Bytes;
    }
  | {
      readonly kind: 'chunk-failed';
      readonly chunk: ChunkIndex;
      readonly source: ChunkSource;
      readonly failure: ChunkFailure;
    }
  /** The deadline of `nextDeadline()` has come; harmless at any other time. */
  | { readonly kind: 'woke' }
  /** The user or the system wants the agent to end: say goodbye, take nothing new. */
  | { readonly kind: 'leave' };

/** `refused`: another boot, another job, full, or wrong token. `protocol`: it said what could not be parsed. */
export type DisconnectReason = 'unreachable' | 'broken' | 'refused' | 'protocol' | 'closed';

/**
 * - `busy`: the peer (or the origin) refuses for now; `retryAfterMs` if it said.
 * - `gone`: the peer does not have the chunk (any more), or gave up passing it on while its own source failed.
 * - `corrupt`: all bytes came and their hash is wrong; `passedOn` if the sender said that it had not verified them.
 * - `wrong-length`: fewer or more bytes than the chunk has. - `broken`: the connection broke.
 * - `refused`: 4xx that no retry will change. - `cancelled`: by us.
 */
export type ChunkFailure =
  | { readonly kind: 'busy'; readonly retryAfterMs: Millis | undefined }
  | { readonly kind: 'gone' }
  | { readonly kind: 'corrupt'; readonly passedOn: boolean }
  | { readonly kind: 'wrong-length' }
  | { readonly kind: 'broken' }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'cancelled' };
