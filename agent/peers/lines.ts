import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { ChunkIndex } from '../../core/ids.ts';
import {
  type PeerHello,
  type PeerMessage,
  type PeerUpdate,
  parsePeerHello,
  parsePeerMessage,
  peerHelloJson,
} from '../../core/peer-message.ts';

/** One line, with its newline. */
export function helloLine(hello: PeerHello): string {
  return `${JSON.stringify(peerHelloJson(hello))}\n`;
}

/** One line or, for an update with more chunks than a message may hold, some; with their newlines. */
export function messageLines(message: PeerMessage): string {
  if (message.kind !== 'update') return `${JSON.stringify(message)}\n`;
  return splitUpdate(message)
    .map(part => `${JSON.stringify(part)}\n`)
    .join('');
}

/** `undefined` for what is no hello of a job with `chunkCount` chunks. */
export function readHello(line: string, chunkCount: number): PeerHello | undefined {
  return readLine(line, json => parsePeerHello(json, chunkCount));
}

/** `undefined` for what is no message of a job with `chunkCount` chunks. */
export function readMessage(line: string, chunkCount: number): PeerMessage | undefined {
  return readLine(line, json => parsePeerMessage(json, chunkCount));
}

function readLine<T>(line: string, parse: (json: unknown) => T): T | undefined {
  try {
    return parse(JSON.parse(line));
  } catch (error) {
    // Bad JSON, or JSON that is no message: the peer's fault, and the caller ends the link for it.
    if (error instanceof SyntaxError || error instanceof StarlingError) return undefined;
    throw error;
  }
}

function splitUpdate(update: PeerUpdate): readonly PeerUpdate[] {
  const max = config.peers.updateChunksMax;
  const parts: PeerUpdate[] = [];
  const longest = Math.max(update.have.length, update.arriving.length, update.dropped.length);
  if (longest <= max) return [update];
  for (let start = 0; start < longest; start += max) {
    const cut = (chunks: readonly ChunkIndex[]) => chunks.slice(start, start + max);
    parts.push({
      kind: 'update',
      have: cut(update.have),
      arriving: cut(update.arriving),
      dropped: cut(update.dropped),
    });
  }
  return parts;
}
