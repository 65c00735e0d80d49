import type { AnnounceContent } from '../core/agent-action.ts';
import type { AddressedAnnounce } from '../core/agent-row.ts';
import { JobTracker } from '../core/announce-answer.ts';
import { type Bytes, type Millis, parseJobId } from '../core/ids.ts';
import { seededRng } from '../core/rng.ts';
import type { AnnounceAnswer } from '../core/tracker-message.ts';
import { chunkCount, type Scenario } from './scenario.ts';
import type { Stage } from './stage.ts';
import type { VirtualAgent } from './virtual-agent.ts';

/** `undefined`: the tracker refuses the announce. */
export type TrackerDecisions = (announce: AddressedAnnounce, now: Millis) => AnnounceAnswer | undefined;

const JOB = parseJobId('simulated');
const DIGEST = '0'.repeat(64);
const SECOND_MS = 1000;
/** Keeps the tracker's dice apart from those of the agents. */
const TRACKER_SALT = 0x7ac8_e901;

/** Core's own decisions, with a memory of their own. */
export function coreTracker(scenario: Scenario): TrackerDecisions {
  const { chunkBytes, locality, seed } = scenario;
  const shape = {
    job: JOB,
    manifestDigest: DIGEST,
    chunkCount: chunkCount(scenario),
    chunkLengthBytes: chunkBytes,
  };
  const tracker = new JobTracker(shape, locality, 0);
  const rng = seededRng(seed ^ TRACKER_SALT);
  return (announce, now) => {
    const outcome = tracker.answer(announce, now, rng);
    return outcome.kind === 'answered' ? outcome.answer : undefined;
  };
}

/** The tracker as its callers see it: half the latency, the decision, the other half; or a failure. */
export class VirtualTracker {
  readonly #stage: Stage;
  readonly #decide: TrackerDecisions;
  #second = -1;
  #calls = 0;

  constructor(stage: Stage, decide: TrackerDecisions) {
    this.#stage = stage;
    this.#decide = decide;
  }

  call(agent: VirtualAgent, content: AnnounceContent): void {
    this.#stage.tally.trackerCalls += 1;
    this.#stage.after(this.#oneWayMs, { kind: 'announced', agent, content });
  }

  /** The call has reached the tracker; also if its agent has died since. */
  announced(agent: VirtualAgent, content: AnnounceContent): void {
    const { now } = this.#stage;
    const { outage } = this.#stage.scenario.tracker;
    const isOut = outage !== undefined && now >= outage.fromMs && now < outage.untilMs;
    if (isOut || this.#isOverLimit(now)) {
      this.#stage.after(this.#oneWayMs, { kind: 'tracker-failed', agent, retryAfterMs: undefined });
      return;
    }
    const answer = this.#decide(announceOf(agent, content, this.#stage.scenario.chunkBytes), now);
    if (answer) this.#stage.after(this.#oneWayMs, { kind: 'tracker-answered', agent, answer });
    else this.#stage.after(this.#oneWayMs, { kind: 'tracker-failed', agent, retryAfterMs: undefined });
  }

  get #oneWayMs(): Millis {
    return this.#stage.scenario.tracker.latencyMs / 2;
  }

  #isOverLimit(now: Millis): boolean {
    const second = Math.floor(now / SECOND_MS);
    if (second !== this.#second) {
      this.#second = second;
      this.#calls = 0;
    }
    this.#calls += 1;
    return this.#calls > this.#stage.scenario.tracker.callsPerSecondMax;
  }
}

function announceOf(agent: VirtualAgent, content: AnnounceContent, chunkLengthBytes: Bytes): AddressedAnnounce {
  const { agentId, bootId, host, port, zone } = agent.entry;
  return {
    ...content,
    job: JOB,
    manifestDigest: DIGEST,
    chunkLengthBytes,
    agentId,
    bootId,
    host,
    port,
    zone,
    linkBytesPerSecond: agent.machine.linkBytesPerSecond,
    progress: {
      bytesFromOrigin: 0,
      bytesFromPeers: 0,
      bytesUploaded: 0,
      duplicateBytes: 0,
      rateBytesPerSecond: 0,
      quarantined: [],
    },
  };
}
