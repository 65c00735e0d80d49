import { Http2PeerTransport, type PeerTransportDeps } from '../../../agent/peers/http2-peer-transport.ts';
import type { DownloadOutcome, PeerEvents } from '../../../agent/peers/transport.ts';
import type { UploadRefusal } from '../../../core/agent-action.ts';
import type { DisconnectReason, UploadId } from '../../../core/agent-input.ts';
import { assert } from '../../../core/assert.ts';
import {
  type AgentId,
  type Bytes,
  type ChunkIndex,
  parseAgentId,
  parseBootId,
  parseJobId,
  parseZone,
} from '../../../core/ids.ts';
import type { PeerEntry, PeerHello, PeerMessage } from '../../../core/peer-message.ts';
import { MemoryChunkStore } from './memory-chunk-store.ts';

export const JOB = parseJobId('films-2024');
export const TOKEN = 'a-token-for-tests';
export const KiB = 1024;

/** What happened to one peer, in order, as short texts. */
export type Asked = { readonly upload: UploadId; readonly peer: AgentId; readonly chunk: ChunkIndex };

type Options = {
  readonly store?: MemoryChunkStore;
  readonly bootId?: string;
  readonly deps?: Partial<PeerTransportDeps>;
};

/** A real transport on loopback that does what core would say, and keeps what it was told. */
export class TestPeer implements PeerEvents {
  readonly transport: Http2PeerTransport;
  readonly store: MemoryChunkStore;
  /** Every event as a line, such as `connected b`, `said b offer`, `disconnected b broken`. */
  readonly log: string[] = [];
  readonly hellos: PeerHello[] = [];
  /** How often we were asked for our own: once a session that we dialled. */
  hellosSaid = 0;
  readonly said: PeerMessage[] = [];
  readonly asked: Asked[] = [];
  readonly uploadsEnded: { readonly upload: UploadId; readonly sentBytes: Bytes; readonly complete: boolean }[] = [];
  readonly readFailures: unknown[] = [];
  /** What is done with an upload that is asked for. */
  answer: (asked: Asked) => void = asked => this.transport.serve(asked.upload);
  verdict: 'accept' | 'full' | 'quarantined' = 'accept';
  entry: PeerEntry;
  #waiting: (() => void)[] = [];

  constructor(name: string, options: Options = {}) {
    this.store = options.store ?? MemoryChunkStore.holding(contents(4, 256 * KiB));
    this.entry = {
      agentId: parseAgentId(name),
      bootId: parseBootId(options.bootId ?? 'boot-1'),
      host: '127.0.0.1',
      port: 1,
      zone: parseZone('zone-1'),
    };
    const deps: PeerTransportDeps = {
      job: JOB,
      token: TOKEN,
      self: this.entry,
      chunkCount: this.store.chunks.length,
      lengthOf: chunk => this.store.chunks[chunk]?.lengthBytes ?? 0,
      chunkStore: this.store,
      onReadFailed: (_chunk, cause) => this.readFailures.push(cause),
      ...options.deps,
    };
    this.transport = new Http2PeerTransport(deps, this);
  }

  get id(): AgentId {
    return this.entry.agentId;
  }

  async listen(): Promise<this> {
    const port = await this.transport.listen({ host: '127.0.0.1', port: 0 });
    this.entry = { ...this.entry, port };
    return this;
  }

  hello(): PeerHello {
    this.hellosSaid += 1;
    return { kind: 'hello', from: this.entry, have: this.store.have, arriving: [] };
  }

  admit(peer: PeerEntry): 'accept' | 'full' | 'quarantined' {
    this.#note(`admit ${peer.agentId}`);
    return this.verdict;
  }

  onConnected(hello: PeerHello): void {
    this.hellos.push(hello);
    this.#note(`connected ${hello.from.agentId}`);
  }

  onDisconnected(peer: AgentId, reason: DisconnectReason): void {
    this.#note(`disconnected ${peer} ${reason}`);
  }

  onSaid(peer: AgentId, message: PeerMessage): void {
    this.said.push(message);
    this.#note(`said ${peer} ${message.kind}`);
  }

  onUploadAsked(upload: UploadId, peer: AgentId, chunk: ChunkIndex): void {
    const asked = { upload, peer, chunk };
    this.asked.push(asked);
    this.#note(`asked ${peer} ${chunk}`);
    this.answer(asked);
  }

  onUploadEnded(upload: UploadId, sentBytes: Bytes, complete: boolean): void {
    this.uploadsEnded.push({ upload, sentBytes, complete });
    this.#note(`upload-ended ${upload}`);
  }

  /** Resolves as soon as the condition holds; it is looked at after every event of this peer. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>(resolve => this.#waiting.push(resolve));
  }

  /** Resolves when the line has been logged. */
  sees(line: string): Promise<void> {
    return this.until(() => this.log.includes(line));
  }

  download(peer: AgentId, chunk: ChunkIndex, more: Partial<Download> = {}): Promise<DownloadOutcome> {
    return this.transport.download({
      peer,
      chunk,
      lengthBytes: this.store.chunks[chunk]?.lengthBytes ?? 0,
      sink: async () => undefined,
      signal: new AbortController().signal,
      onHead: () => undefined,
      ...more,
    });
  }

  refuseAll(refusal: UploadRefusal): void {
    this.answer = asked => this.transport.refuse(asked.upload, refusal);
  }

  /** Something that `until` may wait for has happened elsewhere. */
  lookAgain(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  #note(line: string): void {
    this.log.push(line);
    this.lookAgain();
  }
}

type Download = {
  readonly lengthBytes: Bytes;
  readonly sink: (slice: Uint8Array) => Promise<void>;
  readonly signal: AbortSignal;
  readonly onHead: (head: { readonly passedOn: boolean }) => void;
};

/** Links that both sides see as connected. */
export async function linked(a: TestPeer, b: TestPeer): Promise<void> {
  a.transport.connect(b.entry);
  await Promise.all([a.sees(`connected ${b.id}`), b.sees(`connected ${a.id}`)]);
}

/** Different bytes for each chunk, the same in every run. */
export function contents(count: number, lengthBytes: Bytes): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, chunk) => {
    const bytes = new Uint8Array(lengthBytes);
    for (let index = 0; index < lengthBytes; index += 1) bytes[index] = (index * 31 + (index >>> 8) + chunk * 7) & 0xff;
    return bytes;
  });
}

/** A sink that keeps what came. */
export function collector(): { readonly sink: (slice: Uint8Array) => Promise<void>; readonly bytes: () => Uint8Array } {
  const slices: Uint8Array[] = [];
  return {
    sink: async slice => {
      slices.push(Uint8Array.from(slice));
    },
    bytes: () => Uint8Array.from(Buffer.concat(slices)),
  };
}

export function failureOf(outcome: DownloadOutcome): string {
  assert(outcome.kind === 'failed', `a failed download, not ${outcome.kind}`);
  return outcome.failure.kind;
}
