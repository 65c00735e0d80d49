import { randomBytes } from 'node:crypto';
import { flowsPerLink } from '../core/agent-settings.ts';
import { AgentState } from '../core/agent-state.ts';
import { StarlingError } from '../core/errors.ts';
import { parseBootId } from '../core/ids.ts';
import type { PeerEntry } from '../core/peer-message.ts';
import { seededRng } from '../core/rng.ts';
import type { CheckProgress } from './disk/chunk-check.ts';
import { type Destination, openDestination } from './disk/destination.ts';
import { Driver, now } from './driver.ts';
import type { FetchOptions, FetchResult, FetchRun } from './fetch.ts';
import type { FetchPhase } from './fetch-progress.ts';
import { FetchWatch } from './fetch-watch.ts';
import { type JobManifest, readJobManifest } from './job-manifest.ts';
import { Lingering } from './lingering.ts';
import { OriginChunks } from './origin-chunks.ts';
import { ownAddressTowards } from './own-address.ts';
import { peerToken } from './peer-token.ts';
import { Http2PeerTransport } from './peers/http2-peer-transport.ts';
import { TrackerClient } from './tracker-client.ts';
import { unlessAborted } from './unless-aborted.ts';

const ALL_ADDRESSES = '0.0.0.0';
const LOOPBACK_HOST = '127.0.0.1';
const LOOPBACK = /^(127\.|::1$)/;

/** One `agent fetch` from its start to its end: manifest, destination, trade, placement, lingering, goodbye. */
export class FetchSession {
  readonly #options: FetchOptions;
  readonly #watch: FetchWatch;
  readonly #leaving = new AbortController();

  constructor(options: FetchOptions) {
    this.#options = options;
    this.#watch = new FetchWatch(options.job);
  }

  start(): FetchRun {
    let place: (result: FetchResult) => void = () => undefined;
    let refuse: (error: unknown) => void = () => undefined;
    const placed = new Promise<FetchResult>((resolve, reject) => {
      place = resolve;
      refuse = reject;
    });
    const ended = this.#run(place);
    ended.catch(refuse);
    // The caller awaits `placed` first; that `ended` fails as well is no news.
    placed.catch(() => undefined);
    return {
      placed,
      ended,
      progress: () => this.#watch.progress(),
      leave: () => this.#leaving.abort(interrupted(this.#options)),
    };
  }

  async #run(place: (result: FetchResult) => void): Promise<void> {
    const { origin, job, dest, replace } = this.#options;
    const { signal } = this.#leaving;
    try {
      const jobManifest = await readJobManifest(origin, job, signal);
      this.#watch.jobKnown(jobManifest.manifest);
      this.#watch.phase = 'checking';
      const { manifest, bytes } = jobManifest;
      const onProgress = ({ checkedBytes }: CheckProgress): void => this.#watch.checked(checkedBytes);
      const destination = await openDestination({ manifest, manifestBytes: bytes, dest, replace, onProgress, signal });
      this.#watch.opened(destination);
      try {
        await this.#trade(jobManifest, destination, place);
      } finally {
        await destination.close();
      }
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      this.#enter('ended');
      await origin.close();
    }
  }

  async #trade(job: JobManifest, destination: Destination, place: (result: FetchResult) => void): Promise<void> {
    if (destination.kind === 'complete') {
      place({ kind: 'already-complete', manifest: job.manifest, placedAfterMs: this.#watch.elapsedMs });
      if (this.#options.linger.kind === 'until-quiet' || this.#options.linger.lengthMs === 0) return;
    }
    const driver = await this.#startDriver(job, destination);
    try {
      if (destination.kind === 'partial') {
        this.#enter('fetching');
        await unlessAborted(this.#leaving.signal, driver.completed);
        this.#enter('placing');
        await destination.place();
        place({ kind: 'fetched', manifest: job.manifest, placedAfterMs: this.#watch.elapsedMs });
      }
      this.#enter('seeding');
      const lingering = new Lingering(this.#options.linger, () => driver.isQuiet);
      await Promise.race([lingering.end(this.#leaving.signal), driver.failed]);
    } finally {
      await driver.sayGoodbye();
      await driver.stop();
    }
  }

  async #startDriver(job: JobManifest, destination: Destination): Promise<Driver> {
    const { tracker, token, origin, zone, linkBytesPerSecond, log } = this.#options;
    const { manifest } = job;
    const bootId = parseBootId(randomBytes(8).toString('hex'));
    const address = tracker ? await this.#address(tracker) : { listenHost: LOOPBACK_HOST, host: LOOPBACK_HOST };
    const self: PeerEntry = { agentId: destination.agentId, bootId, host: address.host, port: 0, zone };
    let { port } = this.#options.listen;
    const { store } = destination;
    const settings = {
      self: self.agentId,
      chunkCount: manifest.chunks.length,
      tracker: tracker ? ('expected' as const) : ('none' as const),
      flowsPerLink: flowsPerLink(linkBytesPerSecond),
    };
    const state = new AgentState(settings, store.have, now(), seededRng(randomBytes(4).readInt32LE()));
    const originChunks = new OriginChunks(origin, manifest);
    const driver = new Driver({
      state,
      store,
      originChunks,
      tracker: tracker ? new TrackerClient(tracker, token) : undefined,
      transport: tracker
        ? events =>
            new Http2PeerTransport(
              {
                job: manifest.job,
                token: peerToken(job.bytes),
                self,
                chunkCount: manifest.chunks.length,
                lengthOf: chunk => originChunks.lengthOf(chunk),
                chunkStore: store,
                onReadFailed: (chunk, cause) => log.warn('chunk could not be read', { chunk, cause: String(cause) }),
              },
              events,
            )
        : undefined,
      log,
      self: () => ({ ...self, port }),
      announceBase: {
        job: manifest.job,
        manifestDigest: job.digest,
        chunkLengthBytes: manifest.chunkLengthBytes,
        linkBytesPerSecond,
      },
    });
    this.#watch.trading(driver, state);
    if (driver.transport) port = await driver.transport.listen({ host: address.listenHost, port });
    driver.start();
    return driver;
  }

  /** Told to peers: what the user says, else the address by which this machine reaches the tracker. */
  async #address(tracker: URL): Promise<{ readonly listenHost: string; readonly host: string }> {
    const host = this.#options.advertiseHost ?? (await ownAddressTowards(tracker)) ?? LOOPBACK_HOST;
    // With a tracker on this machine only, nobody else needs to reach us.
    const listenHost = this.#options.listen.host ?? (LOOPBACK.test(host) ? host : ALL_ADDRESSES);
    return { host, listenHost };
  }

  #enter(phase: FetchPhase): void {
    this.#watch.phase = phase;
  }
}

function interrupted({ dest, job }: FetchOptions): StarlingError {
  return new StarlingError('interrupted', `interrupted while fetching job ${job}`, {
    next: `run the same command again: it goes on where it was (${dest}.starling-partial)`,
  });
}
