import type { UploadRefusal } from '../core/agent-action.ts';
import type { ChunkFailure, ChunkSource, UploadId } from '../core/agent-input.ts';
import { assert, unreachable } from '../core/assert.ts';
import type { AgentId, Bytes, ChunkIndex, Millis } from '../core/ids.ts';
import type { FlowId, PortId } from './network.ts';
import { chunkLength } from './scenario.ts';
import type { Stage } from './stage.ts';
import type { Transfer } from './transfer.ts';
import type { VirtualAgent } from './virtual-agent.ts';
import type { VirtualOrigin } from './virtual-origin.ts';

/** A look at the first bytes of a flow that has no rate yet is repeated after so long. */
const LOOK_AGAIN_MS = 1;

/** Chunks on their way: asked for, sent as flows of the network, verified, or broken off. */
export class Transfers {
  readonly #stage: Stage;
  readonly #origin: VirtualOrigin;
  readonly #byFlow: (Transfer | undefined)[] = [];

  constructor(stage: Stage, origin: VirtualOrigin) {
    this.#stage = stage;
    this.#origin = origin;
  }

  ask(receiver: VirtualAgent, peer: AgentId, chunk: ChunkIndex): void {
    const end = receiver.ends.get(peer);
    const transfer = this.#start(receiver, end?.peer, chunk);
    this.#stage.tally.messages += 1;
    if (end) this.#stage.after(this.#delayMs(transfer), { kind: 'asked', transfer });
    else this.#stage.after(0, { kind: 'transfer-failed', transfer, failure: { kind: 'broken' } });
  }

  asked(transfer: Transfer): void {
    const { sender, receiver, chunk } = transfer;
    if (!sender || transfer.phase !== 'asked') return;
    // Without a link the receiver hears of its end, or has heard.
    if (!sender.isAlive || sender.ends.get(receiver.machine.agentId)?.peer !== receiver) return;
    const upload = sender.nextUpload();
    transfer.upload = upload;
    sender.uploads.set(upload, transfer);
    sender.feed({ kind: 'upload-asked', upload, peer: receiver.machine.agentId, chunk });
  }

  pull(receiver: VirtualAgent, chunk: ChunkIndex): void {
    this.#origin.ask(this.#start(receiver, undefined, chunk));
  }

  originAnswered(transfer: Transfer): void {
    if (transfer.phase !== 'asked' || !transfer.receiver.isAlive) return;
    const limit = Math.min(transfer.receiver.machine.flowLimit, this.#origin.connectionLimit);
    this.#flow(transfer, this.#origin.port, limit, undefined);
  }

  serve(sender: VirtualAgent, upload: UploadId, chunk: ChunkIndex): void {
    const transfer = sender.uploads.get(upload);
    // The receiver has given up; the sender is about to hear it.
    if (transfer?.phase !== 'asked') return;
    const limit = Math.min(sender.machine.flowLimit, transfer.receiver.machine.flowLimit);
    if (sender.state.have.has(chunk)) return this.#flow(transfer, sender.machine.up, limit, undefined);
    const source = sender.downloads.get(chunk);
    assert(source?.hasBegun === true, `chunk ${chunk} is served by who does not have it`);
    transfer.passedOn = true;
    transfer.isCorrupt = source.isCorrupt;
    this.#flow(transfer, sender.machine.up, limit, source.phase === 'flowing' ? source.flow : undefined);
  }

  refuse(sender: VirtualAgent, upload: UploadId, refusal: UploadRefusal): void {
    const transfer = sender.uploads.get(upload);
    if (!transfer) return;
    sender.uploads.delete(upload);
    const { tally } = this.#stage;
    tally.messages += 1;
    tally.refusals += 1;
    const failure = failureOf(refusal);
    this.#stage.after(this.#delayMs(transfer), { kind: 'transfer-failed', transfer, failure });
  }

  /** The sender breaks off. */
  stop(sender: VirtualAgent, upload: UploadId): void {
    const transfer = sender.uploads.get(upload);
    if (transfer) this.#endUpload(transfer, { kind: 'gone' });
  }

  /** The receiver gives up. */
  cancel(receiver: VirtualAgent, chunk: ChunkIndex, source: ChunkSource): void {
    const transfer = receiver.downloads.get(chunk);
    if (!transfer || !isFrom(transfer, source)) return;
    this.#endDownload(transfer, { kind: 'cancelled' });
  }

  flowEnded(flow: FlowId): void {
    const transfer = this.#byFlow[flow];
    assert(transfer !== undefined, 'a flow belongs to a transfer');
    this.#byFlow[flow] = undefined;
    transfer.flow = undefined;
    transfer.phase = 'landing';
    this.#count(transfer, transfer.lengthBytes);
    const landsInMs = this.#delayMs(transfer) + this.#stage.scenario.verifyMs;
    this.#stage.after(landsInMs, { kind: 'landed', transfer });
    this.#tellUploadEnded(transfer, transfer.lengthBytes, true);
  }

  landed(transfer: Transfer): void {
    if (transfer.phase !== 'landing' || !transfer.receiver.isAlive) return;
    const { receiver, chunk, lengthBytes } = transfer;
    transfer.phase = 'over';
    receiver.downloads.delete(chunk);
    const source = sourceOf(transfer);
    if (!transfer.isCorrupt) {
      receiver.feed({ kind: 'chunk-verified', chunk, source, lengthBytes });
      return;
    }
    this.#stage.tally.duplicateBytes += lengthBytes;
    receiver.feed({ kind: 'chunk-failed', chunk, source, failure: { kind: 'corrupt', passedOn: transfer.passedOn } });
  }

  /** The receiver learns that its transfer has failed. */
  failed(transfer: Transfer, failure: ChunkFailure): void {
    if (transfer.phase !== 'over') this.#endDownload(transfer, failure);
  }

  uploadAborted(transfer: Transfer, sentBytes: Bytes): void {
    this.#tellUploadEnded(transfer, sentBytes, false);
  }

  /** When enough of a chunk has come to pass it on, say so; else look again when it will have. */
  firstBytes(transfer: Transfer): void {
    const { flow, receiver, chunk } = transfer;
    const isOver = transfer.phase === 'over' || (transfer.phase === 'flowing' && flow === undefined);
    if (isOver || transfer.hasBegun || !receiver.isAlive) return;
    if (flow !== undefined) {
      const { network, now, scenario } = this.#stage;
      const arrived = network.sentBytes(flow, now - this.#delayMs(transfer));
      const lacking = Math.min(scenario.passOnBytes, transfer.lengthBytes) - arrived;
      if (lacking > 1) {
        const rate = network.rate(flow);
        this.#stage.after(rate > 0 ? lacking / rate : LOOK_AGAIN_MS, { kind: 'first-bytes', transfer });
        return;
      }
      transfer.toldBytes = arrived;
    }
    transfer.hasBegun = true;
    receiver.feed({
      kind: 'chunk-progressed',
      chunk,
      source: sourceOf(transfer),
      passedOn: transfer.passedOn,
    });
  }

  /** Tell the agent which of its downloads have moved since the last time. */
  tellProgress(receiver: VirtualAgent): void {
    for (const transfer of [...receiver.downloads.values()]) {
      if (transfer.flow === undefined || !transfer.hasBegun) continue;
      const arrived = this.#stage.network.sentBytes(transfer.flow, this.#stage.now - this.#delayMs(transfer));
      if (arrived <= transfer.toldBytes) continue;
      transfer.toldBytes = arrived;
      const { chunk, passedOn } = transfer;
      receiver.feed({ kind: 'chunk-progressed', chunk, source: sourceOf(transfer), passedOn });
    }
  }

  /** The link between the two is gone on the agent's side. */
  breakOff(agent: VirtualAgent, peer: VirtualAgent): void {
    for (const transfer of [...agent.downloads.values()]) {
      if (transfer.sender === peer && transfer.phase !== 'landing') this.#endDownload(transfer, { kind: 'broken' });
    }
    for (const transfer of [...agent.uploads.values()]) {
      if (transfer.receiver === peer) this.#endUpload(transfer, undefined);
    }
  }

  /** The agent's process is gone: nothing that it sends or receives moves any more. */
  cutAll(agent: VirtualAgent): void {
    for (const transfer of [...agent.downloads.values(), ...agent.uploads.values()]) {
      if (transfer.flow === undefined) continue;
      this.#stopFlow(transfer);
      if (transfer.receiver === agent) transfer.phase = 'over';
    }
  }

  #start(receiver: VirtualAgent, sender: VirtualAgent | undefined, chunk: ChunkIndex): Transfer {
    assert(!receiver.downloads.has(chunk), `chunk ${chunk} asked twice`);
    const transfer: Transfer = {
      chunk,
      lengthBytes: chunkLength(this.#stage.scenario, chunk),
      receiver,
      sender,
      phase: 'asked',
      upload: undefined,
      flow: undefined,
      passedOn: false,
      isCorrupt: false,
      hasBegun: false,
      toldBytes: 0,
    };
    receiver.downloads.set(chunk, transfer);
    return transfer;
  }

  #flow(transfer: Transfer, from: PortId, limit: number, source: FlowId | undefined): void {
    const { network, now, scenario } = this.#stage;
    const { lengthBytes } = transfer;
    const flow = network.start({ from, to: transfer.receiver.machine.down, lengthBytes, limit, source }, now);
    this.#byFlow[flow] = transfer;
    transfer.flow = flow;
    transfer.phase = 'flowing';
    const firstMs = this.#delayMs(transfer) + Math.min(scenario.passOnBytes, lengthBytes) / limit;
    this.#stage.after(firstMs, { kind: 'first-bytes', transfer });
  }

  #endDownload(transfer: Transfer, failure: ChunkFailure): void {
    const { receiver, chunk } = transfer;
    const sentBytes = this.#stopFlow(transfer);
    transfer.phase = 'over';
    receiver.downloads.delete(chunk);
    if (failure.kind === 'cancelled' && transfer.upload !== undefined) {
      this.#stage.after(this.#delayMs(transfer), { kind: 'upload-aborted', transfer, sentBytes });
    }
    receiver.feed({ kind: 'chunk-failed', chunk, source: sourceOf(transfer), failure });
  }

  /** `failure`: what to tell the receiver; `undefined` if it hears of the link's end instead. */
  #endUpload(transfer: Transfer, failure: ChunkFailure | undefined): void {
    if (transfer.phase === 'landing') return;
    const sentBytes = this.#stopFlow(transfer);
    if (failure) this.#stage.after(this.#delayMs(transfer), { kind: 'transfer-failed', transfer, failure });
    this.#tellUploadEnded(transfer, sentBytes, false);
  }

  #tellUploadEnded(transfer: Transfer, sentBytes: Bytes, complete: boolean): void {
    const { sender, upload } = transfer;
    if (!sender || upload === undefined || !sender.uploads.delete(upload)) return;
    sender.feed({ kind: 'upload-ended', upload, sentBytes, complete });
  }

  /** What was sent so far was sent for nothing. */
  #stopFlow(transfer: Transfer): Bytes {
    const { flow } = transfer;
    if (flow === undefined) return 0;
    const sentBytes = this.#stage.network.stop(flow, this.#stage.now);
    this.#byFlow[flow] = undefined;
    transfer.flow = undefined;
    this.#stage.tally.duplicateBytes += sentBytes;
    this.#count(transfer, sentBytes);
    return sentBytes;
  }

  #count(transfer: Transfer, bytes: Bytes): void {
    const { tally } = this.#stage;
    const { sender, receiver } = transfer;
    if (!sender) {
      tally.originBytes += bytes;
      return;
    }
    tally.peerBytes += bytes;
    if (sender.machine.zone !== receiver.machine.zone) tally.crossZoneBytes += bytes;
  }

  /** The way from the origin is part of its time to the first byte. */
  #delayMs(transfer: Transfer): Millis {
    return transfer.sender ? this.#stage.delayMs(transfer.sender.machine, transfer.receiver.machine) : 0;
  }
}

function sourceOf(transfer: Transfer): ChunkSource {
  return transfer.sender ? { kind: 'peer', peer: transfer.sender.machine.agentId } : { kind: 'origin' };
}

function isFrom(transfer: Transfer, source: ChunkSource): boolean {
  return source.kind === 'origin' ? !transfer.sender : transfer.sender?.machine.agentId === source.peer;
}

function failureOf(refusal: UploadRefusal): ChunkFailure {
  switch (refusal.kind) {
    case 'busy':
      return refusal;
    case 'gone':
      return refusal;
    case 'quarantined':
      return { kind: 'refused', why: 'quarantined' };
    default:
      return unreachable(refusal);
  }
}
