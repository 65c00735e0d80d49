import { config } from '../../core/config.ts';
import type { AgentId, BootId, ChunkIndex, JobId } from '../../core/ids.ts';

/**
 * What two agents say to each other in HTTP/2 beside the lines of a link (core/peer-message.ts). Both dial one session
 * each; whoever dialled tells its lines and asks for its chunks on it:
 *
 * - `POST /v1/jobs/<job>/link`: the request body is newline-delimited JSON, a hello first. 200: the link stands while
 *   both bodies stay open. 400 not understood, 409 a second link on the session, 421 another agent or boot lives here,
 *   503 with `starling-refused: full|quarantined`.
 * - `GET /v1/jobs/<job>/chunks/<index>`: 200 with `content-length` and `starling-source`; 403 quarantined, 404 gone,
 *   409 no link on this session, 503 busy with `starling-retry-after-ms`. A body reset by INTERNAL_ERROR while the
 *   session lives: the sender's own source failed.
 *
 * Every request carries `authorization: Bearer <token>` (else 401) and names the job (else 404).
 */
export const headerNames = {
  /** `verified`, or `arriving`: passed on while it comes in, before its hash is known. */
  source: 'starling-source',
  retryAfterMs: 'starling-retry-after-ms',
  refused: 'starling-refused',
  /** Whom the dialler wants to reach, `<agentId>/<bootId>`: an address may have another owner by now. */
  to: 'starling-to',
  /** `link`: this session takes over the link that the same boot has with us on an older session. */
  moves: 'starling-moves',
} as const;

export type Route =
  | { readonly kind: 'link' }
  | { readonly kind: 'chunk'; readonly chunk: ChunkIndex }
  | { readonly kind: 'unknown' };

export function linkPath(job: JobId): string {
  return `/v1/jobs/${job}/link`;
}

export function chunkPath(job: JobId, chunk: ChunkIndex): string {
  return `/v1/jobs/${job}/chunks/${chunk}`;
}

export function identityOf(peer: { readonly agentId: AgentId; readonly bootId: BootId }): string {
  return `${peer.agentId}/${peer.bootId}`;
}

/** `unknown` also for another job and for a chunk that the job does not have. */
export function parseRoute(
  request: { readonly method: string | undefined; readonly path: string | undefined },
  job: JobId,
  chunkCount: number,
): Route {
  const { method, path } = request;
  if (method === 'POST' && path === linkPath(job)) return { kind: 'link' };
  const prefix = chunkPath(job, 0).slice(0, -1);
  if (method !== 'GET' || path === undefined || !path.startsWith(prefix)) return { kind: 'unknown' };
  const digits = path.slice(prefix.length);
  const chunk = /^(0|[1-9][0-9]{0,6})$/.test(digits) ? Number(digits) : chunkCount;
  return chunk < chunkCount ? { kind: 'chunk', chunk } : { kind: 'unknown' };
}

/** The options of both ends that hold floods off; nghttp2 enforces them. */
export const sessionLimits = {
  maxSessionMemory: config.peers.sessionMemoryMax,
  maxHeaderListPairs: 32,
  // A peer that answers pings or settings with more of them must not make us queue answers.
  maxOutstandingPings: 4,
  maxOutstandingSettings: 4,
} as const;
