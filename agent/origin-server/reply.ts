import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes } from '../../core/ids.ts';
import type { StoredObject } from '../origins/object-directory.ts';
import type { ByteRange } from '../origins/origin.ts';

/** What a route answers; the server sends it. Whoever gets an `object` closes its handle. */
export type Reply =
  | ShortReply
  | {
      readonly kind: 'object';
      readonly status: 200 | 206;
      readonly headers: Readonly<Record<string, string>>;
      readonly object: StoredObject;
      readonly range: ByteRange;
    };

export type ShortReply = {
  readonly kind: 'short';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
};

/** The `error` of every refusal, as in tracker/routes.ts. */
export type Problem = { readonly code: string; readonly message: string; readonly next?: string };

export function emptyReply(status: number, headers: Readonly<Record<string, string>>): ShortReply {
  return { kind: 'short', status, headers, body: '' };
}

export function jsonReply(status: number, value: object): ShortReply {
  return { kind: 'short', status, headers: { 'content-type': 'application/json' }, body: `${JSON.stringify(value)}\n` };
}

/** 429 and 503 tell when to come again. */
export function problemReply(status: number, problem: Problem): ShortReply {
  const reply = jsonReply(status, { error: problem });
  if (status !== 429 && status !== 503) return reply;
  const seconds = Math.ceil(config.originServer.retryAfterMs / 1000);
  return { ...reply, headers: { ...reply.headers, 'retry-after': String(seconds) } };
}

export function methodReply(allowed: string): Reply {
  const reply = problemReply(405, { code: 'usage', message: `this path takes ${allowed}` });
  return { ...reply, headers: { ...reply.headers, allow: allowed } };
}

export function tooLong(bytesMax: Bytes): Reply {
  const reply = problemReply(413, { code: 'usage', message: `a body here has at most ${bytesMax} bytes` });
  return { ...reply, headers: { ...reply.headers, connection: 'close' } };
}

/** What went wrong on this side: a full disk, a sick one, or a defect. */
export function failureReply(error: unknown): Reply {
  if (!(error instanceof StarlingError)) {
    return problemReply(500, { code: 'unexpected', message: 'the origin server failed; its log says why' });
  }
  const problem = {
    code: error.code,
    message: error.message,
    ...(error.next === undefined ? {} : { next: error.next }),
  };
  switch (error.code) {
    case 'usage':
      return problemReply(400, problem);
    case 'disk-full':
      return problemReply(507, problem);
    case 'origin-unreachable':
      return problemReply(503, problem);
    default:
      return problemReply(500, problem);
  }
}
