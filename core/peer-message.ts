import * as z from 'zod/mini';
import { ChunkSet } from './chunk-set.ts';
import { config } from './config.ts';
import { StarlingError } from './errors.ts';
import { fromHex, toHex } from './hex.ts';
import { type AgentId, type BootId, type ChunkIndex, parseAgentId, parseBootId, parseZone, type Zone } from './ids.ts';
import { valid } from './valid.ts';

/** How to reach one run of one agent. */
export type PeerEntry = {
  readonly agentId: AgentId;
  readonly bootId: BootId;
  readonly host: string;
  readonly port: number;
  readonly zone: Zone;
};

/** The first line on a link between two agents: who speaks, and what it has. */
export type PeerHello = {
  readonly kind: 'hello';
  readonly from: PeerEntry;
  readonly have: ChunkSet;
  /** Being received right now; may be offered on (cut-through), must not be offered to the speaker. */
  readonly arriving: readonly ChunkIndex[];
};

/** Every later line. The order of the lines on one link is the order in which they were said. */
export type PeerMessage = PeerUpdate | PeerOffer | PeerDecline;

/** What changed since the speaker's last update. A chunk goes missing -> arriving -> have, or back by `dropped`. */
export type PeerUpdate = {
  readonly kind: 'update';
  readonly have: readonly ChunkIndex[];
  readonly arriving: readonly ChunkIndex[];
  readonly dropped: readonly ChunkIndex[];
};

/** "I have a free upload slot and this chunk, which you lack": answered by asking for the chunk, or by `decline`. */
export type PeerOffer = { readonly kind: 'offer'; readonly chunk: ChunkIndex };

/** `had`: have it, or it is coming from elsewhere. `full`: no download slot free. */
export type PeerDecline = { readonly kind: 'decline'; readonly chunk: ChunkIndex; readonly because: 'had' | 'full' };

const chunkIndex = z.int().check(z.gte(0), z.lt(config.manifest.chunksMax));
const chunks = z.array(chunkIndex).check(z.maxLength(config.peers.updateChunksMax));
const text = z.string().check(z.maxLength(256));

const entrySchema = z.strictObject({
  agentId: text,
  bootId: text,
  host: text,
  port: z.int().check(z.gte(1), z.lte(65_535)),
  zone: text,
});
const messageSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('update'), have: chunks, arriving: chunks, dropped: chunks }),
  z.strictObject({ kind: z.literal('offer'), chunk: chunkIndex }),
  z.strictObject({ kind: z.literal('decline'), chunk: chunkIndex, because: z.enum(['had', 'full']) }),
]);
const helloSchema = z.strictObject({
  kind: z.literal('hello'),
  from: entrySchema,
  have: z.string().check(z.maxLength(config.manifest.chunksMax / 4 + 2)),
  arriving: chunks,
});

/** Throws `invalid-message`. */
export function parsePeerEntry(json: unknown): PeerEntry {
  const entry = valid(entrySchema, json, 'peer entry');
  return {
    agentId: parseAgentId(entry.agentId),
    bootId: parseBootId(entry.bootId),
    host: entry.host,
    port: entry.port,
    zone: parseZone(entry.zone),
  };
}

/** Throws `invalid-message`, also for a have-map or an index that does not fit `chunkCount`. */
export function parsePeerHello(json: unknown, chunkCount: number): PeerHello {
  const hello = valid(helloSchema, json, 'hello');
  const bytes = fromHex(hello.have);
  const have = bytes && ChunkSet.fromBytes(chunkCount, bytes);
  if (!have) throw new StarlingError('invalid-message', `hello with a have-map that does not fit ${chunkCount} chunks`);
  checkChunks(hello.arriving, chunkCount);
  return { kind: 'hello', from: parsePeerEntry(hello.from), have, arriving: hello.arriving };
}

/** Throws `invalid-message`. */
export function parsePeerMessage(json: unknown, chunkCount: number): PeerMessage {
  const message = valid(messageSchema, json, 'peer message');
  if (message.kind === 'update') {
    checkChunks(message.have, chunkCount);
    checkChunks(message.arriving, chunkCount);
    checkChunks(message.dropped, chunkCount);
  } else {
    checkChunks([message.chunk], chunkCount);
  }
  return message;
}

/** What `parsePeerHello` reads back. */
export function peerHelloJson(hello: PeerHello): unknown {
  return { ...hello, have: toHex(hello.have.toBytes()) };
}

function checkChunks(indices: readonly ChunkIndex[], chunkCount: number): void {
  const wrong = indices.find(chunk => chunk >= chunkCount);
  if (wrong !== undefined) throw new StarlingError('invalid-message', `chunk ${wrong} in a job of ${chunkCount}`);
}
