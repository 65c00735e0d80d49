import type { Bytes, Millis } from '../core/ids.ts';
import { EventQueue } from './event-queue.ts';
import type { Machine } from './machine.ts';
import { Network } from './network.ts';
import type { Scenario } from './scenario.ts';
import type { SimEvent } from './sim-event.ts';
import { TraceHash } from './trace-hash.ts';

/**
 * Rates are off by so much at most where they stand still: test/sim/network.test.ts states what that costs, and
 * 0.0005 instead of it moves the headline by 0.001 (docs/SIMULATOR.md).
 */
const SHARE_TOLERANCE = 0.01;

/** What a run counts; bytes are counted as they leave the sender. */
export type Tally = {
  originBytes: Bytes;
  peerBytes: Bytes;
  crossZoneBytes: Bytes;
  /** Received and thrown away: cancelled, broken off, corrupt. */
  duplicateBytes: Bytes;
  /** Lines said by agents, a line to each of ten neighbours counting ten; requests and refusals included. */
  messages: number;
  refusals: number;
  declines: number;
  trackerCalls: number;
};

/** The one clock, the one queue and the one network that everything in a run shares. */
export class Stage {
  now: Millis = 0;
  /** Machines whose agents have not come to their end. */
  unfinished: number;
  readonly scenario: Scenario;
  readonly queue = new EventQueue<SimEvent>();
  readonly network: Network;
  readonly trace = new TraceHash();
  readonly tally: Tally = {
    originBytes: 0,
    peerBytes: 0,
    crossZoneBytes: 0,
    duplicateBytes: 0,
    messages: 0,
    refusals: 0,
    declines: 0,
    trackerCalls: 0,
  };

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    this.unfinished = scenario.machines;
    this.network = new Network({ tolerance: SHARE_TOLERANCE, passOnBytes: scenario.passOnBytes });
  }

  after(delayMs: Millis, event: SimEvent): void {
    this.queue.push(this.now + delayMs, event);
  }

  finish(machine: Machine): void {
    if (machine.isFinished) return;
    machine.isFinished = true;
    this.unfinished -= 1;
  }

  /** One way between two machines. */
  delayMs(one: Machine, other: Machine): Millis {
    return (one.zone === other.zone ? this.scenario.rttMs : this.scenario.crossZoneRttMs) / 2;
  }
}
