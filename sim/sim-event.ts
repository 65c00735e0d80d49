import type { AnnounceContent } from '../core/agent-action.ts';
import type { ChunkFailure, DisconnectReason } from '../core/agent-input.ts';
import type { Millis } from '../core/ids.ts';
import type { PeerHello, PeerMessage, PeerUpdate } from '../core/peer-message.ts';
import type { AnnounceAnswer } from '../core/tracker-message.ts';
import type { LinkEnd } from './link.ts';
import type { Machine } from './machine.ts';
import type { Transfer } from './transfer.ts';
import type { VirtualAgent } from './virtual-agent.ts';

/** What the event queue holds; `kind` says what happens, the rest to whom. The end of a flow comes from the network. */
export type SimEvent =
  | { readonly kind: 'join'; readonly machine: Machine }
  | { readonly kind: 'power-lost'; readonly machine: Machine }
  | { readonly kind: 'wake'; readonly agent: VirtualAgent; readonly at: Millis }
  | { readonly kind: 'progress-tick'; readonly agent: VirtualAgent }
  /** The connection stands: the dialer's hello goes out. */
  | { readonly kind: 'dialed'; readonly end: LinkEnd }
  | { readonly kind: 'dial-failed'; readonly end: LinkEnd; readonly reason: DisconnectReason }
  /** The hello of `end`'s agent reaches the peer. */
  | { readonly kind: 'hello'; readonly end: LinkEnd; readonly hello: PeerHello }
  /** `end` is the speaker's. */
  | { readonly kind: 'told'; readonly end: LinkEnd; readonly message: PeerMessage }
  | { readonly kind: 'told-all'; readonly from: VirtualAgent; readonly message: PeerUpdate; readonly sentAt: Millis }
  /** `end`'s agent learns that the other side is gone. */
  | { readonly kind: 'link-lost'; readonly end: LinkEnd; readonly reason: DisconnectReason }
  | { readonly kind: 'asked'; readonly transfer: Transfer }
  | { readonly kind: 'first-bytes'; readonly transfer: Transfer }
  | { readonly kind: 'landed'; readonly transfer: Transfer }
  /** The receiver learns that nothing (more) will come. */
  | { readonly kind: 'transfer-failed'; readonly transfer: Transfer; readonly failure: ChunkFailure }
  /** The sender learns that the receiver wants no more. */
  | { readonly kind: 'upload-aborted'; readonly transfer: Transfer; readonly sentBytes: number }
  | { readonly kind: 'origin-answered'; readonly transfer: Transfer }
  | { readonly kind: 'announced'; readonly agent: VirtualAgent; readonly content: AnnounceContent }
  | { readonly kind: 'tracker-answered'; readonly agent: VirtualAgent; readonly answer: AnnounceAnswer }
  | { readonly kind: 'tracker-failed'; readonly agent: VirtualAgent; readonly retryAfterMs: Millis | undefined }
  | { readonly kind: 'sample' };
