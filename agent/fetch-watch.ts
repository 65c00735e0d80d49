import type { AgentState } from '../core/agent-state.ts';
import type { Bytes, JobId, Millis } from '../core/ids.ts';
import type { Manifest } from '../core/manifest.ts';
import type { Destination } from './disk/destination.ts';
import { type Driver, now } from './driver.ts';
import type { FetchPhase, FetchProgress } from './fetch-progress.ts';

/** Puts together what people want to see of a run, at any moment of it. */
export class FetchWatch {
  phase: FetchPhase = 'starting';
  readonly #job: JobId;
  readonly #startedAt = now();
  #manifest: Manifest | undefined;
  #destination: Destination | undefined;
  #checkedBytes: Bytes = 0;
  #trade: { readonly driver: Driver; readonly state: AgentState } | undefined;

  constructor(job: JobId) {
    this.#job = job;
  }

  get elapsedMs(): Millis {
    return now() - this.#startedAt;
  }

  jobKnown(manifest: Manifest): void {
    this.#manifest = manifest;
  }

  checked(bytes: Bytes): void {
    this.#checkedBytes = bytes;
  }

  opened(destination: Destination): void {
    this.#destination = destination;
  }

  trading(driver: Driver, state: AgentState): void {
    this.#trade = { driver, state };
  }

  progress(): FetchProgress {
    const lengthBytes = this.#manifest?.lengthBytes ?? 0;
    const resumedBytes = this.#destination?.resumedBytes ?? 0;
    const counters = this.#trade?.driver.counters;
    const bytesFromOrigin = counters?.bytesFromOrigin ?? 0;
    const bytesFromPeers = counters?.bytesFromPeers ?? 0;
    const isChecking = this.#destination === undefined;
    const haveBytes = isChecking ? this.#checkedBytes : resumedBytes + bytesFromOrigin + bytesFromPeers;
    const at = now();
    const rateBytesPerSecond = counters?.rateBytesPerSecond(at) ?? 0;
    const quarantined = this.#trade?.state.quarantined(at) ?? [];
    return {
      phase: this.phase,
      job: this.#job,
      chunkCount: this.#manifest?.chunks.length ?? 0,
      haveCount: this.#destination?.store.have.size ?? 0,
      lengthBytes,
      haveBytes,
      resumedBytes,
      bytesFromOrigin,
      bytesFromPeers,
      bytesUploaded: counters?.bytesUploaded ?? 0,
      duplicateBytes: counters?.duplicateBytes ?? 0,
      rateBytesPerSecond,
      neighbourCount: this.#trade?.state.neighbourCount ?? 0,
      discovery: this.#trade?.state.rung(at) ?? 'origin-alone',
      quarantined: quarantined.map(({ peer, reason, until }) => ({ peer, reason, forMs: until - at })),
      elapsedMs: this.elapsedMs,
      etaMs: etaMs(lengthBytes - haveBytes, rateBytesPerSecond),
    };
  }
}

function etaMs(missingBytes: Bytes, rateBytesPerSecond: number): Millis | undefined {
  if (missingBytes <= 0) return 0;
  return rateBytesPerSecond > 0 ? Math.round((missingBytes * 1000) / rateBytesPerSecond) : undefined;
}
