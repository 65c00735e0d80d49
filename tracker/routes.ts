import type { AddressedAnnounce } from '../core/agent-row.ts';
import type { AnnounceOutcome } from '../core/announce-answer.ts';
import { unreachable } from '../core/assert.ts';
import { config } from '../core/config.ts';
import { StarlingError } from '../core/errors.ts';
import { type JobId, type Millis, parseJobId } from '../core/ids.ts';
import { announceAnswerJson, jobStatusJson, parseAnnounce } from '../core/tracker-json.ts';
import type { TrackerService } from './service.ts';

/** One HTTP request, whatever brought it. Its caller has been authenticated. */
export type TrackerRequest = {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** A server need not read further than `config.tracker.announceBytesMax` + 1 bytes. */
  readonly body: Uint8Array;
  /** Where the request came from: the address of an agent that does not tell its own. */
  readonly remoteHost: string;
  readonly now: Millis;
};

export type TrackerReply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Behind a 500: for the log of the server, never for the caller. */
  readonly cause?: unknown;
};

type Understood<T> =
  | { readonly kind: 'understood'; readonly value: T }
  | { readonly kind: 'refused'; readonly reply: TrackerReply };
type Refusal = { readonly code: string; readonly message: string; readonly next?: string | undefined };

const ROUTE = /^\/v1\/jobs\/([^/]+)\/(announce|status)$/;
const METHODS = { announce: 'POST', status: 'GET' } as const;

/**
 * `POST /v1/jobs/:job/announce` and `GET /v1/jobs/:job/status`, JSON both ways. A refusal is
 * `{error: {code, message, next}}`, as the embedded origin server says it: 400 not understood, 404 no such route or
 * job, 405 wrong method, 409 in conflict with live agents, 413 too large, 429 no room (with Retry-After), 500 our
 * fault. Never rejects.
 */
export async function routeTrackerRequest(service: TrackerService, request: TrackerRequest): Promise<TrackerReply> {
  const [, job, verb] = ROUTE.exec(request.path) ?? [];
  if (job === undefined || (verb !== 'announce' && verb !== 'status')) {
    return refused(404, {
      code: 'unknown-route',
      message: `nothing is at ${request.path}`,
      next: 'use /v1/jobs/<job>/announce or /v1/jobs/<job>/status',
    });
  }
  if (request.method !== METHODS[verb]) {
    const refusal = { code: 'wrong-method', message: `${verb} is asked for by ${METHODS[verb]}` };
    return refused(405, refusal, { allow: METHODS[verb] });
  }
  try {
    return verb === 'announce' ? await announce(service, job, request) : await status(service, job, request.now);
  } catch (cause) {
    // What the caller did wrong has been answered: this is a fault of ours, or of the store.
    const refusal = { code: 'internal', message: 'the tracker failed', next: 'see the log of the tracker' };
    return { ...refused(500, refusal), cause };
  }
}

async function announce(service: TrackerService, job: string, request: TrackerRequest): Promise<TrackerReply> {
  const { announceBytesMax } = config.tracker;
  if (request.body.length > announceBytesMax) {
    return refused(413, { code: 'too-large', message: `an announce has at most ${announceBytesMax} bytes` });
  }
  const parsed = understood(() => announceOf(parseJobId(job), request));
  if (parsed.kind === 'refused') return parsed.reply;
  const outcome = await service.announce(parsed.value, request.now);
  if (outcome.kind !== 'answered') return refusedAnnounce(outcome, job);
  return replied(200, announceAnswerJson(outcome.answer));
}

async function status(service: TrackerService, job: string, now: Millis): Promise<TrackerReply> {
  const parsed = understood(() => parseJobId(job));
  if (parsed.kind === 'refused') return parsed.reply;
  const known = await service.status(parsed.value, now);
  if (known) return replied(200, jobStatusJson(known));
  return refused(404, {
    code: 'unknown-job',
    message: `no agent announces job ${job}`,
    next: 'check the job id, or start an agent with `agent fetch`',
  });
}

function announceOf(job: JobId, request: TrackerRequest): AddressedAnnounce {
  const announce = parseAnnounce(parsedJson(request.body));
  if (announce.job !== job) {
    throw new StarlingError('invalid-message', `announce of job ${announce.job} sent to job ${job}`);
  }
  return { ...announce, host: announce.host ?? withoutMapping(request.remoteHost) };
}

/** What the caller sent, or 400 with what is wrong about it. */
function understood<T>(parse: () => T): Understood<T> {
  try {
    return { kind: 'understood', value: parse() };
  } catch (error) {
    if (!(error instanceof StarlingError)) throw error;
    const { code, message, next } = error;
    return { kind: 'refused', reply: refused(400, { code, message, next }) };
  }
}

function refusedAnnounce(outcome: Exclude<AnnounceOutcome, { kind: 'answered' }>, job: string): TrackerReply {
  switch (outcome.kind) {
    case 'different-manifest':
      return refused(409, {
        code: 'different-manifest',
        message: `live agents of job ${job} share the bytes of manifest ${outcome.manifestDigest}`,
        next: 'publish changed bytes under a new job id, and start the agent anew to read the manifest again',
      });
    case 'replaced':
      return refused(409, {
        code: 'replaced',
        message: `a newer run of this agent of job ${job} has announced`,
        next: 'give each agent of a job an agent id of its own',
      });
    case 'full': {
      const refusal = { code: 'full', message: `no room for more ${outcome.what}`, next: 'try again later' };
      return refused(429, refusal, { 'retry-after': `${Math.ceil(config.tracker.fullRetryMs / 1000)}` });
    }
    default:
      return unreachable(outcome);
  }
}

function parsedJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    // TypeError: no UTF-8. SyntaxError: no JSON.
    throw new StarlingError('invalid-message', 'the body is not JSON', { cause });
  }
}

/** `::ffff:10.0.0.1`: an IPv4 caller, as a socket that listens on IPv6 sees it. */
function withoutMapping(host: string): string {
  return host.replace(/^::ffff:(?=\d+\.)/i, '');
}

function refused(status: number, refusal: Refusal, headers: Readonly<Record<string, string>> = {}): TrackerReply {
  const reply = replied(status, { error: refusal });
  return { ...reply, headers: { ...reply.headers, ...headers } };
}

function replied(status: number, json: unknown): TrackerReply {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(json) };
}
