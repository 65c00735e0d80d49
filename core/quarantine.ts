import type { QuarantineReason } from './agent-action.ts';
import { config } from './config.ts';
import type { AgentId, Millis } from './ids.ts';

export type Quarantined = { readonly peer: AgentId; readonly reason: QuarantineReason; readonly until: Millis };

type Record = { strikes: number; until: Millis; reason: QuarantineReason };

/** Peers not asked any more until a deadline. By agent id, never by address: addresses are reused. */
export class Quarantine {
  readonly #byPeer = new Map<AgentId, Record>();

  holds(peer: AgentId, now: Millis): boolean {
    return (this.#byPeer.get(peer)?.until ?? 0) > now;
  }

  /**
   * Bytes that the peer said it had verified were wrong: proof enough. Returns for how long.
   */
  convict(peer: AgentId, reason: QuarantineReason, now: Millis): Millis {
    const record = this.#record(peer);
    record.until = now + config.exchange.corruptQuarantineMs;
    record.reason = reason;
    return config.exchange.corruptQuarantineMs;
  }

  /**
   * The peer may be innocent (it passed on what another sent it, it was paused): a short quarantine that doubles, and
   * conviction after `strikesMax`. Returns for how long.
   */
  strike(peer: AgentId, reason: QuarantineReason, now: Millis): Millis {
    const record = this.#record(peer);
    record.strikes += 1;
    if (record.strikes >= config.exchange.strikesMax) return this.convict(peer, reason, now);
    const forMs = config.exchange.strikeQuarantineMs * 2 ** (record.strikes - 1);
    record.until = Math.max(record.until, now + forMs);
    record.reason = reason;
    return forMs;
  }

  current(now: Millis): readonly Quarantined[] {
    const held: Quarantined[] = [];
    for (const [peer, { reason, until }] of this.#byPeer) if (until > now) held.push({ peer, reason, until });
    return held;
  }

  #record(peer: AgentId): Record {
    let record = this.#byPeer.get(peer);
    if (record) return record;
    // At the maximum the oldest record goes: an attacker with many identities is the tracker's to stop.
    if (this.#byPeer.size >= config.exchange.quarantineRecordsMax) {
      for (const oldest of this.#byPeer.keys()) {
        this.#byPeer.delete(oldest);
        break;
      }
    }
    record = { strikes: 0, until: 0, reason: 'unreliable' };
    this.#byPeer.set(peer, record);
    return record;
  }
}
