import type { UploadRefusal } from '../../core/agent-action.ts';
import type { ChunkFailure, DisconnectReason, UploadId } from '../../core/agent-input.ts';
import type { AgentId, Bytes, ChunkIndex } from '../../core/ids.ts';
import type { PeerEntry, PeerHello, PeerMessage } from '../../core/peer-message.ts';

/**
 * Links and chunk transfers between agents. The driver calls the methods as core's actions tell it and turns the
 * events into core's inputs. Nothing here decides; nothing here throws for what a peer does wrong.
 */
export interface PeerTransport {
  /** Resolves with the port that peers can dial. Throws `port-in-use`. */
  listen(address: { readonly host: string; readonly port: number }): Promise<number>;
  /** Dial the peer and say hello; `onConnected` when its own hello has come too, else `onDisconnected`. */
  connect(peer: PeerEntry): void;
  disconnect(peer: AgentId): void;
  /** Dropped silently if there is no link: `onDisconnected` tells, or has told. */
  tell(peer: AgentId, message: PeerMessage): void;
  /** To every link whose hello went out, also to those whose own hello has not come yet. */
  tellAll(message: PeerMessage): void;
  /**
   * Ask the peer for a chunk and hand its bytes to `sink` as they come. Resolves with what became of it; never rejects.
   * `aborted` by the signal, it resolves after everything is freed.
   */
  download(request: {
    readonly peer: AgentId;
    readonly chunk: ChunkIndex;
    readonly lengthBytes: Bytes;
    readonly sink: (slice: Uint8Array) => Promise<void>;
    readonly signal: AbortSignal;
    /** Called once, before the first slice: whether the sender itself still waits for the chunk to verify it. */
    readonly onHead: (head: { readonly passedOn: boolean }) => void;
  }): Promise<DownloadOutcome>;
  /** Answer an `onUploadAsked`; the bytes come from the chunk store, also while they still arrive there. */
  serve(upload: UploadId, chunk: ChunkIndex): void;
  refuse(upload: UploadId, refusal: UploadRefusal): void;
  /** Break off: the receiver must see that the chunk is not whole. */
  stop(upload: UploadId): void;
  close(): Promise<void>;
}

/** `received`: exactly `lengthBytes` came; not yet verified. `passedOn`: the sender had not verified them either. */
export type DownloadOutcome =
  | { readonly kind: 'received'; readonly passedOn: boolean }
  | { readonly kind: 'failed'; readonly failure: ChunkFailure; readonly receivedBytes: Bytes }
  /** Our own disk failed; not the peer's fault. */
  | { readonly kind: 'sink-failed'; readonly cause: unknown; readonly receivedBytes: Bytes };

/** Called synchronously, one at a time. */
export type PeerEvents = {
  /** What our hello says at this moment. */
  hello(): PeerHello;
  /** Whether a peer that dials us may be our neighbour. */
  admit(peer: PeerEntry): 'accept' | 'full' | 'quarantined';
  onConnected(hello: PeerHello): void;
  onDisconnected(peer: AgentId, reason: DisconnectReason): void;
  onSaid(peer: AgentId, message: PeerMessage): void;
  onUploadAsked(upload: UploadId, peer: AgentId, chunk: ChunkIndex): void;
  onUploadEnded(upload: UploadId, sentBytes: Bytes, complete: boolean): void;
};
