import type { AgentAction, JobFailure } from '../core/agent-action.ts';
import type { AgentInput, UploadId } from '../core/agent-input.ts';
import { AgentState } from '../core/agent-state.ts';
import { unreachable } from '../core/assert.ts';
import { ChunkSet } from '../core/chunk-set.ts';
import { type AgentId, type BootId, type ChunkIndex, type Millis, parseBootId } from '../core/ids.ts';
import type { PeerEntry, PeerHello } from '../core/peer-message.ts';
import { seededRng } from '../core/rng.ts';
import type { LinkEnd } from './link.ts';
import type { Links } from './links.ts';
import type { Machine } from './machine.ts';
import { chunkCount } from './scenario.ts';
import type { Stage } from './stage.ts';
import { codeOf } from './trace-codes.ts';
import type { Transfer } from './transfer.ts';
import type { Transfers } from './transfers.ts';
import type { VirtualTracker } from './virtual-tracker.ts';

/** What a virtual agent acts upon: the simulator's counterparts of the real agent's transport, origin and tracker client. */
export type Surroundings = {
  readonly stage: Stage;
  readonly links: Links;
  readonly transfers: Transfers;
  readonly tracker: VirtualTracker;
};

/** Where agents are reached; the simulator finds them by id. */
const HOST = '10.0.0.1';
const PORT = 7000;

/**
 * One boot of one agent: core's state, driven by virtual time. Like the real driver it decides nothing: it carries out
 * the actions and tells what came of them.
 */
export class VirtualAgent {
  readonly machine: Machine;
  readonly bootId: BootId;
  readonly state: AgentState;
  readonly downloads = new Map<ChunkIndex, Transfer>();
  readonly uploads = new Map<UploadId, Transfer>();
  readonly ends = new Map<AgentId, LinkEnd>();
  isAlive = true;
  completeAt: Millis | undefined;
  failure: JobFailure | undefined;
  readonly #around: Surroundings;
  readonly #pending: AgentInput[] = [];
  #isHandling = false;
  #wakeAt: Millis = Number.POSITIVE_INFINITY;
  #uploads = 0;

  constructor(around: Surroundings, machine: Machine, boot: number, have: ChunkSet | undefined) {
    const { scenario, now } = around.stage;
    this.#around = around;
    this.machine = machine;
    this.bootId = parseBootId(`boot-${boot}`);
    const chunks = chunkCount(scenario);
    this.state = new AgentState(
      {
        self: machine.agentId,
        chunkCount: chunks,
        tracker: 'expected',
        flowsPerLink: Math.ceil(machine.linkBytesPerSecond / 1000 / machine.flowLimit),
      },
      have ?? new ChunkSet(chunks),
      now,
      seededRng(Math.imul(scenario.seed, 0x9e3779b1) ^ Math.imul(machine.index + 1, 0x85ebca6b) ^ boot),
    );
    this.#arm();
  }

  get entry(): PeerEntry {
    return { agentId: this.machine.agentId, bootId: this.bootId, host: HOST, port: PORT, zone: this.machine.zone };
  }

  hello(): PeerHello {
    return { kind: 'hello', from: this.entry, ...this.state.holdings() };
  }

  nextUpload(): UploadId {
    this.#uploads += 1;
    return this.#uploads;
  }

  /** Tell the state a fact and do what it orders; what follows at once from an order is told after all orders. */
  feed(input: AgentInput): void {
    if (!this.isAlive) return;
    if (this.#isHandling) {
      this.#pending.push(input);
      return;
    }
    this.#isHandling = true;
    this.#handle(input);
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) this.#handle(next);
    this.#isHandling = false;
    this.#arm();
  }

  /** `at`: for when this wake was ordered; one that an earlier wake replaced is ignored. */
  wake(at: Millis): void {
    if (at !== this.#wakeAt) return;
    this.#wakeAt = Number.POSITIVE_INFINITY;
    const deadline = this.state.nextDeadline();
    if (deadline !== undefined && deadline <= this.#around.stage.now) this.feed({ kind: 'woke' });
    else this.#arm();
  }

  #handle(input: AgentInput): void {
    const { stage } = this.#around;
    stage.trace.mix(codeOf(input), this.machine.index, stage.now);
    for (const action of this.state.handle(input, stage.now)) this.#carryOut(action);
  }

  #arm(): void {
    const deadline = this.state.nextDeadline();
    if (deadline === undefined || deadline >= this.#wakeAt) return;
    const { stage } = this.#around;
    this.#wakeAt = Math.max(deadline, stage.now);
    stage.queue.push(this.#wakeAt, { kind: 'wake', agent: this, at: this.#wakeAt });
  }

  #carryOut(action: AgentAction): void {
    const { links, transfers, tracker, stage } = this.#around;
    switch (action.kind) {
      case 'announce':
        return tracker.call(this, action.announce);
      case 'connect':
        return links.dial(this, action.peer);
      case 'disconnect':
        return links.close(this, action.peer);
      case 'tell':
        return links.tell(this, action.peer, action.message);
      case 'tell-all':
        return links.tellAll(this, action.message);
      case 'request-chunk':
        return transfers.ask(this, action.peer, action.chunk);
      case 'pull-from-origin':
        return transfers.pull(this, action.chunk);
      case 'cancel-transfer':
        return transfers.cancel(this, action.chunk, action.source);
      case 'serve-chunk':
        return transfers.serve(this, action.upload, action.chunk);
      case 'refuse-upload':
        return transfers.refuse(this, action.upload, action.refusal);
      case 'stop-upload':
        return transfers.stop(this, action.upload);
      case 'note-quarantine':
        return;
      case 'complete':
        this.completeAt = stage.now;
        return stage.finish(this.machine);
      case 'fail':
        this.failure = action.failure;
        return stage.finish(this.machine);
      default:
        return unreachable(action);
    }
  }
}
