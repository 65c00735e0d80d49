import { assert } from '../core/assert.ts';
import type { Bytes, Millis } from '../core/ids.ts';
import { type FlowId, FlowTable, LOST_SOURCE, NO_SOURCE, type PortId } from './flow-table.ts';
import { MomentHeap } from './moment-heap.ts';

export type { FlowId, PortId } from './flow-table.ts';

export type NetworkSettings = {
  /**
   * A port's fair share is told to its flows when that moves more than this part of its capacity, and a flow's rate is
   * changed when it is off by more than this part of itself. 0 is exact.
   */
  readonly tolerance: number;
  /** A flow stays so far behind the flow that feeds it: what the agent collects before it passes it on. */
  readonly passOnBytes: Bytes;
};

export type FlowSpec = {
  readonly from: PortId;
  readonly to: PortId;
  readonly lengthBytes: Bytes;
  /** Bytes a millisecond that one connection reaches at most. */
  readonly limit: number;
  /** Cut-through: the flow that still brings these bytes to the sender. */
  readonly source: FlowId | undefined;
};

type Port = {
  capacity: number;
  /** Fair share: no flow of the port runs faster. */
  level: number;
  readonly flows: FlowId[];
  isDirty: boolean;
};

/** Rounds of "new shares -> new rates -> sources changed" in one moment; what is left waits for the next event. */
const ROUNDS_MAX = 8;
/** Shares recomputed in one round, per port that changed by itself; the rest waits for the next round. */
const SPREAD_MAX = 64;
/** However little of the capacity it is about, a level is told when it has changed by this part of itself. */
const LEVEL_TOLERANCE_MAX = 0.1;
/** A flow is over when less than this is left: float dust. */
const DUST_BYTES = 0.5;
/** A flow that fell so far behind its source (in `passOnBytes`) runs free again. */
const LETS_GO_AT = 3;

/**
 * Who sends how fast to whom. Fluid flows: each flow goes from a port (a host's way up) to a port (a host's way down),
 * each port has a capacity, and the rates are max-min fair: no flow can get more without taking from a slower one.
 *
 * Every port keeps a level, its fair share given the levels at the other ends of its flows (water-filling); a flow's
 * rate is the least of its two levels and its own limit. When flows come and go the levels of the ports concerned are
 * computed anew, and those of the ports that feel it, until nothing moves by more than `tolerance`: that is the
 * distributed algorithm of Bertsekas & Gallager, Data Networks, section 6.5.2, which converges to the max-min rates.
 * Changes of one moment are worked off together, so a slot that is freed and filled at once costs nothing.
 *
 * Cut-through: a flow with a `source` never overtakes it; having caught up it runs at the source's rate at most.
 */
export class Network {
  readonly #settings: NetworkSettings;
  readonly #flows = new FlowTable();
  readonly #ports: Port[] = [];
  readonly #moments = new MomentHeap();
  #dirty: PortId[] = [];
  /** Flows whose rate must be looked at although no level changed: new ones, and those whose source changed. */
  #restless: FlowId[] = [];
  readonly #limits: number[] = [];
  /** Flows that the last computed level binds. */
  #boundCount = 1;
  /** Sum of what every ended or settled flow has sent; for the utilisation. */
  movedBytes: Bytes = 0;

  constructor(settings: NetworkSettings) {
    this.#settings = settings;
  }

  /** `capacity` in bytes a millisecond; may be `Infinity`. */
  addPort(capacity: number): PortId {
    this.#ports.push({ capacity, level: Number.POSITIVE_INFINITY, flows: [], isDirty: false });
    return this.#ports.length - 1;
  }

  setCapacity(port: PortId, capacity: number): void {
    this.#port(port).capacity = capacity;
    this.#markDirty(port);
  }

  flowCount(port: PortId): number {
    return this.#port(port).flows.length;
  }

  start(spec: FlowSpec, now: Millis): FlowId {
    const flows = this.#flows;
    const flow = flows.take();
    flows.from[flow] = spec.from;
    flows.to[flow] = spec.to;
    flows.totalBytes[flow] = spec.lengthBytes;
    flows.sentBytes[flow] = 0;
    flows.at[flow] = now;
    flows.rate[flow] = 0;
    flows.limit[flow] = spec.limit;
    flows.source[flow] = spec.source ?? NO_SOURCE;
    flows.held[flow] = 0;
    flows.reach[flow] = spec.limit;
    if (spec.source !== undefined) flows.addDependent(spec.source, flow);
    flows.placeFrom[flow] = this.#port(spec.from).flows.push(flow) - 1;
    flows.placeTo[flow] = this.#port(spec.to).flows.push(flow) - 1;
    this.#stir(flow);
    return flow;
  }

  /** End the flow where it is; what is fed by it gets nothing more. Returns the bytes that it sent. */
  stop(flow: FlowId, now: Millis): Bytes {
    this.#flows.settle(flow, now);
    const sentBytes = this.#flows.sentBytes[flow] as number;
    for (const dependent of this.#flows.dependents[flow] ?? []) {
      this.#flows.source[dependent] = LOST_SOURCE;
      this.#setReach(dependent, 0);
    }
    this.#end(flow);
    return sentBytes;
  }

  setLimit(flow: FlowId, limit: number): void {
    this.#flows.limit[flow] = limit;
    this.#setReach(flow, this.#reachOf(flow));
  }

  sentBytes(flow: FlowId, now: Millis): Bytes {
    return this.#flows.sentAt(flow, now);
  }

  /** Bytes a millisecond, as of the last `nextAt`. */
  rate(flow: FlowId): number {
    return this.#flows.rate[flow] as number;
  }

  /** Sum of the rates of the flows from this port. */
  load(port: PortId): number {
    return this.#port(port).flows.reduce((sum, flow) => sum + this.rate(flow), 0);
  }

  /** When the network next has something to tell (`advance`); nothing may start or stop between the two calls. */
  nextAt(now: Millis): Millis {
    if (this.#dirty.length > 0 || this.#restless.length > 0) this.#share(now);
    return this.#moments.nextAt;
  }

  /** Go to `nextAt`. Returns the flow that ended there, or `undefined` if something inside the network changed. */
  advance(now: Millis): FlowId | undefined {
    const flow = this.#moments.first;
    assert(flow >= 0, 'nothing flows');
    const flows = this.#flows;
    flows.settle(flow, now);
    if ((flows.totalBytes[flow] as number) - (flows.sentBytes[flow] as number) > DUST_BYTES) {
      // It has caught up with its source.
      flows.held[flow] = 1;
      this.#setReach(flow, this.#reachOf(flow));
      this.#plan(flow, now);
      return undefined;
    }
    for (const dependent of flows.dependents[flow] ?? []) {
      flows.source[dependent] = NO_SOURCE;
      flows.held[dependent] = 0;
      this.#setReach(dependent, flows.limit[dependent] as number);
      this.#plan(dependent, now);
    }
    flows.sentBytes[flow] = flows.totalBytes[flow] as number;
    this.#end(flow);
    return flow;
  }

  #end(flow: FlowId): void {
    const flows = this.#flows;
    this.movedBytes += flows.sentBytes[flow] as number;
    this.#moments.set(flow, Number.POSITIVE_INFINITY);
    const source = flows.source[flow] as number;
    if (source >= 0) flows.removeDependent(source, flow);
    const from = flows.from[flow] as number;
    const fromFlows = this.#port(from).flows;
    const fromPlace = flows.placeFrom[flow] as number;
    const fromLast = fromFlows.pop() as FlowId;
    if (fromLast !== flow) {
      fromFlows[fromPlace] = fromLast;
      flows.placeFrom[fromLast] = fromPlace;
    }
    const to = flows.to[flow] as number;
    const toFlows = this.#port(to).flows;
    const toPlace = flows.placeTo[flow] as number;
    const toLast = toFlows.pop() as FlowId;
    if (toLast !== flow) {
      toFlows[toPlace] = toLast;
      flows.placeTo[toLast] = toPlace;
    }
    this.#markDirty(from);
    this.#markDirty(to);
    // -1 marks an ended flow that may still stand in the list of the restless ones.
    flows.from[flow] = -1;
    flows.release(flow);
  }

  #stir(flow: FlowId): void {
    this.#restless.push(flow);
    this.#markDirty(this.#flows.from[flow] as number);
    this.#markDirty(this.#flows.to[flow] as number);
  }

  /** The flow could now run at `reach`; the ports that feel it compute their levels anew. */
  #setReach(flow: FlowId, reach: number): void {
    const flows = this.#flows;
    const before = flows.reach[flow] as number;
    if (before === reach) return;
    const from = flows.from[flow] as number;
    const to = flows.to[flow] as number;
    flows.reach[flow] = reach;
    this.#restless.push(flow);
    const fromLevel = this.#level(from);
    const toLevel = this.#level(to);
    if (Math.min(before, reach, toLevel) < fromLevel) this.#markDirty(from);
    if (Math.min(before, reach, fromLevel) < toLevel) this.#markDirty(to);
  }

  #reachOf(flow: FlowId): number {
    const flows = this.#flows;
    const limit = flows.limit[flow] as number;
    const source = flows.source[flow] as number;
    if (source === LOST_SOURCE) return 0;
    return flows.held[flow] === 0 || source < 0 ? limit : Math.min(limit, flows.rate[source] as number);
  }

  #markDirty(port: PortId): void {
    const state = this.#port(port);
    if (state.isDirty) return;
    state.isDirty = true;
    this.#dirty.push(port);
  }

  #share(now: Millis): void {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      this.#spreadLevels();
      const restless = this.#restless;
      this.#restless = [];
      for (const flow of restless) this.#applyRate(flow, now);
      if (this.#restless.length === 0 && this.#dirty.length === 0) return;
    }
  }

  /** Compute the levels of the dirty ports, and of those that feel the change. */
  #spreadLevels(): void {
    const budget = this.#dirty.length * SPREAD_MAX;
    let next = 0;
    while (next < this.#dirty.length && next < budget) {
      const port = this.#dirty[next] as PortId;
      next += 1;
      const state = this.#port(port);
      state.isDirty = false;
      const level = this.#waterLevel(port, state);
      if (this.#isSettled(level, state)) continue;
      this.#tellFlows(port, state, level);
      state.level = level;
    }
    this.#dirty = this.#dirty.slice(next);
  }

  /** Whether what the flows at the level would gain or lose is not worth telling them. */
  #isSettled(level: number, state: Port): boolean {
    if (level === state.level) return true;
    const { tolerance } = this.#settings;
    const bearable = Math.min((tolerance * state.capacity) / this.#boundCount, LEVEL_TOLERANCE_MAX * level);
    return tolerance > 0 && Math.abs(level - state.level) <= bearable;
  }

  #isNear(rate: number, applied: number): boolean {
    return rate === applied || Math.abs(rate - applied) <= this.#settings.tolerance * Math.min(rate, applied);
  }

  /** The port's level changes: note the flows whose rate it changes, and the ports at their other ends that feel it. */
  #tellFlows(port: PortId, state: Port, level: number): void {
    const { reach } = this.#flows;
    for (const flow of state.flows) {
      const otherPort = this.#otherEnd(flow, port);
      const otherLevel = this.#level(otherPort);
      const before = Math.min(reach[flow] as number, state.level);
      const after = Math.min(reach[flow] as number, level);
      if (before === after || Math.min(before, after) >= otherLevel) continue;
      this.#restless.push(flow);
      this.#markDirty(otherPort);
    }
  }

  /**
   * The share at which the port is just full, each flow taking no more than it can get elsewhere. Rises from
   * capacity / flows in at most as many steps as there are flows; mostly three. A port that is not full has as its level
   * what its largest flow could get if that took all that is left: so levels change little when loads change little.
   */
  #waterLevel(port: PortId, state: Port): number {
    const { flows, capacity } = state;
    const limits = this.#limits;
    let wanted = 0;
    let largest = 0;
    for (let index = 0; index < flows.length; index += 1) {
      const flow = flows[index] as FlowId;
      const elsewhere = Math.min(this.#flows.reach[flow] as number, this.#level(this.#otherEnd(flow, port)));
      limits[index] = elsewhere;
      wanted += elsewhere;
      if (elsewhere > largest) largest = elsewhere;
    }
    this.#boundCount = 1;
    if (wanted <= capacity) return largest + (capacity - wanted);
    let level = capacity / flows.length;
    for (;;) {
      let taken = 0;
      let unlimited = 0;
      for (let index = 0; index < flows.length; index += 1) {
        const limit = limits[index] as number;
        if (limit <= level) taken += limit;
        else unlimited += 1;
      }
      // None is left when `wanted` exceeds the capacity by rounding only.
      if (unlimited === 0) return largest;
      const higher = (capacity - taken) / unlimited;
      this.#boundCount = unlimited;
      if (higher <= level * (1 + 1e-12)) return level;
      level = higher;
    }
  }

  #applyRate(flow: FlowId, now: Millis): void {
    const flows = this.#flows;
    const from = flows.from[flow] as number;
    if (from < 0) return;
    const isTurned = this.#holdOrLetGo(flow, now);
    const fair = Math.min(this.#level(from), this.#level(flows.to[flow] as number));
    const rate = Math.min(flows.reach[flow] as number, fair);
    if (this.#isNear(rate, flows.rate[flow] as number)) {
      if (isTurned) this.#plan(flow, now);
      return;
    }
    flows.settle(flow, now);
    flows.rate[flow] = rate;
    this.#plan(flow, now);
    this.#tellDependents(flow, now);
  }

  /** True if the flow was tied to its source's rate, or set free from it. */
  #holdOrLetGo(flow: FlowId, now: Millis): boolean {
    const flows = this.#flows;
    const source = flows.source[flow] as number;
    if (source < 0) return false;
    const behind = flows.sentAt(source, now) - flows.sentAt(flow, now);
    const isHeld = flows.held[flow] === 1;
    const { passOnBytes } = this.#settings;
    if (isHeld ? behind <= LETS_GO_AT * passOnBytes : behind > passOnBytes) return false;
    flows.held[flow] = isHeld ? 0 : 1;
    this.#setReach(flow, this.#reachOf(flow));
    return true;
  }

  #tellDependents(flow: FlowId, now: Millis): void {
    const flows = this.#flows;
    for (const dependent of flows.dependents[flow] ?? []) {
      if (flows.held[dependent] === 1) this.#setReach(dependent, this.#reachOf(dependent));
      else this.#plan(dependent, now);
    }
  }

  /** When the flow ends, or catches up with its source, if its rate stays as it is. */
  #plan(flow: FlowId, now: Millis): void {
    const flows = this.#flows;
    const rate = flows.rate[flow] as number;
    if (rate <= 0) {
      this.#moments.set(flow, Number.POSITIVE_INFINITY);
      return;
    }
    const sent = flows.sentAt(flow, now);
    let moment = now + Math.max(0, (flows.totalBytes[flow] as number) - sent) / rate;
    const source = flows.source[flow] as number;
    if (source >= 0 && flows.held[flow] === 0) {
      const closing = rate - (flows.rate[source] as number);
      const gap = flows.sentAt(source, now) - sent - this.#settings.passOnBytes;
      if (closing > 0) moment = Math.min(moment, now + Math.max(0, gap) / closing);
    }
    this.#moments.set(flow, moment);
  }

  #otherEnd(flow: FlowId, port: PortId): PortId {
    const from = this.#flows.from[flow] as number;
    return from === port ? (this.#flows.to[flow] as number) : from;
  }

  #level(port: PortId): number {
    return (this.#ports[port] as Port).level;
  }

  #port(port: PortId): Port {
    return this.#ports[port] as Port;
  }
}
