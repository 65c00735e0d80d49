import { config } from './config.ts';
import type { AgentId, Millis } from './ids.ts';
import type { PeerEntry } from './peer-message.ts';

type Acquaintance = { readonly entry: PeerEntry; failures: number; nextTryAt: Millis; isConnecting: boolean };

/** Peers we have heard of and are not connected to: whom to dial next, and whom not yet again. */
export class Acquaintances {
  readonly #byId = new Map<AgentId, Acquaintance>();
  #connecting = 0;

  get connecting(): number {
    return this.#connecting;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Heard of from the tracker or from a link. A new boot of a known agent is a new chance. */
  meet(entry: PeerEntry, now: Millis): void {
    const known = this.#byId.get(entry.agentId);
    if (known?.isConnecting) return;
    if (known?.entry.bootId === entry.bootId && known.entry.port === entry.port) return;
    if (!known && this.#byId.size >= config.graph.candidatesMax) this.#forgetOldest();
    this.#byId.set(entry.agentId, { entry, failures: 0, nextTryAt: now, isConnecting: false });
  }

  /** Connected, or found to be ourselves: no longer only an acquaintance. */
  remove(peer: AgentId): void {
    if (this.#byId.get(peer)?.isConnecting) this.#connecting -= 1;
    this.#byId.delete(peer);
  }

  /** The link could not be made, or broke: again later, each time twice as late. */
  failed(entry: PeerEntry | undefined, peer: AgentId, now: Millis): void {
    const known = this.#byId.get(peer);
    if (known?.isConnecting) this.#connecting -= 1;
    const kept = entry ?? known?.entry;
    if (!kept) return;
    const failures = (known?.failures ?? 0) + 1;
    const backoffMs = Math.min(config.graph.reconnectMs * 2 ** (failures - 1), config.graph.reconnectMsMax);
    if (failures > config.graph.reconnectsMax) this.#byId.delete(peer);
    else this.#byId.set(peer, { entry: kept, failures, nextTryAt: now + backoffMs, isConnecting: false });
  }

  /** The next peer to dial, marked as being dialled; `undefined` if none is due or enough are being dialled. */
  takeNext(now: Millis): PeerEntry | undefined {
    if (this.#connecting >= config.graph.connectsMax) return undefined;
    for (const known of this.#byId.values()) {
      if (known.isConnecting || known.nextTryAt > now) continue;
      known.isConnecting = true;
      this.#connecting += 1;
      return known.entry;
    }
    return undefined;
  }

  #forgetOldest(): void {
    for (const [peer, known] of this.#byId) {
      if (known.isConnecting) continue;
      this.#byId.delete(peer);
      return;
    }
  }
}
