import { type Dispatcher, Agent as HttpAgent, request } from 'undici';
import * as z from 'zod/mini';
import { unreachable } from '../core/assert.ts';
import { config } from '../core/config.ts';
import { type ErrorCode, StarlingError } from '../core/errors.ts';
import type { Bytes, JobId, Millis } from '../core/ids.ts';
import { announceJson, parseAnnounceAnswer, parseJobStatus } from '../core/tracker-json.ts';
import type { Announce, AnnounceAnswer, JobStatus } from '../core/tracker-message.ts';
import { isConnectionFailure, retryAfterMs } from './origins/http-failure.ts';

const limits = config.tracker;

/**
 * `failed`: no answer, or none that counts; a later try may mend it. `refused`: none will, as long as the agent says the
 * same; `code`, `why` and `next` are the tracker's own words.
 */
export type AnnounceResult =
  | { readonly kind: 'answered'; readonly answer: AnnounceAnswer }
  | { readonly kind: 'failed'; readonly retryAfterMs: Millis | undefined; readonly why: string }
  | { readonly kind: 'refused'; readonly code: string; readonly why: string; readonly next: string | undefined };

type Ask = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly timeoutMs: Millis;
  readonly bytesMax: Bytes;
  readonly signal?: AbortSignal | undefined;
};

type Reply =
  | { readonly kind: 'replied'; readonly json: unknown }
  | Extract<AnnounceResult, { readonly kind: 'failed' | 'refused' }>;

const shortText = z.string().check(z.maxLength(1024));
const refusalSchema = z.object({
  error: z.object({ code: shortText, message: shortText, next: z.optional(shortText) }),
});

/** Talks to a tracker over HTTP: the embedded one, or the Lambda. */
export class TrackerClient {
  readonly url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #connections = new HttpAgent({
    connections: limits.connectionsMax,
    allowH2: false,
    pipelining: 1,
    connect: { timeout: limits.connectTimeoutMs },
    keepAliveTimeout: limits.keepAliveMs,
  });

  /** `url` is http(s) without credentials, query or fragment; a path in it goes before ours. */
  constructor(url: URL, token: string | undefined) {
    this.url = url.href.replace(/\/$/, '');
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  /** Never rejects for what the tracker or the network does. */
  async announce(announce: Announce, signal?: AbortSignal): Promise<AnnounceResult> {
    const reply = await this.#ask({
      method: 'POST',
      path: `/v1/jobs/${announce.job}/announce`,
      body: JSON.stringify(announceJson(announce)),
      timeoutMs: limits.answerTimeoutMs,
      bytesMax: limits.answerBytesMax,
      signal,
    });
    if (reply.kind !== 'replied') return reply;
    try {
      return { kind: 'answered', answer: parseAnnounceAnswer(reply.json, announce.have.chunkCount) };
    } catch (error) {
      if (!(error instanceof StarlingError)) throw error;
      return failed(error.message);
    }
  }

  /** Throws `unknown-job`, `tracker-unreachable`, `tracker-refused`, or `interrupted` by the signal. */
  async status(job: JobId, signal?: AbortSignal): Promise<JobStatus> {
    const path = `/v1/jobs/${job}/status`;
    const { statusTimeoutMs: timeoutMs, statusBytesMax: bytesMax } = limits;
    const reply = await this.#ask({ method: 'GET', path, timeoutMs, bytesMax, signal });
    if (signal?.aborted) throw new StarlingError('interrupted', 'asking the tracker was interrupted');
    switch (reply.kind) {
      case 'replied':
        return this.#understood(reply.json);
      case 'failed':
        throw new StarlingError('tracker-unreachable', `the tracker at ${this.url} does not answer: ${reply.why}`, {
          next: 'check --tracker, that the tracker runs there, and that no firewall is between',
        });
      case 'refused': {
        const code: ErrorCode = reply.code === 'unknown-job' ? 'unknown-job' : 'tracker-refused';
        throw new StarlingError(code, reply.why, { next: reply.next ?? 'check --tracker, --job and --token' });
      }
      default:
        return unreachable(reply);
    }
  }

  /** Breaks off what is under way. */
  async close(): Promise<void> {
    await this.#connections.destroy();
  }

  #understood(json: unknown): JobStatus {
    try {
      return parseJobStatus(json);
    } catch (cause) {
      // The parser throws `invalid-message`: something answers there, but no tracker that we know.
      throw new StarlingError('tracker-refused', `the tracker at ${this.url} answers what we do not understand`, {
        next: 'check that --tracker names a tracker of the same version',
        cause,
      });
    }
  }

  async #ask(ask: Ask): Promise<Reply> {
    const timeout = AbortSignal.timeout(ask.timeoutMs);
    const signal = ask.signal ? AbortSignal.any([ask.signal, timeout]) : timeout;
    try {
      const answer = await request(this.url + ask.path, {
        dispatcher: this.#connections,
        method: ask.method,
        headers: { ...this.#headers, ...(ask.body === undefined ? {} : { 'content-type': 'application/json' }) },
        body: ask.body ?? null,
        signal,
      });
      const text = await boundedText(answer.body, ask.bytesMax);
      if (text === undefined) return failed(`the answer has more than ${ask.bytesMax} bytes`);
      return replyOf(answer, text);
    } catch (error) {
      if (ask.signal?.aborted) return failed('interrupted');
      if (timeout.aborted) return failed(`no answer within ${ask.timeoutMs} ms`);
      if (!isConnectionFailure(error)) throw error;
      return failed(error instanceof Error ? error.message : String(error));
    }
  }
}

function replyOf(answer: Dispatcher.ResponseData, text: string): Reply {
  const status = answer.statusCode;
  const json = parsedJson(text);
  if (status === 200) return json === undefined ? failed('the answer is not JSON') : { kind: 'replied', json };
  const said = refusalSchema.safeParse(json).data?.error;
  const why = said?.message ?? `the tracker answered ${status}`;
  if (status === 408 || status === 429 || status >= 500) {
    return { kind: 'failed', retryAfterMs: retryAfterMs(answer.headers, Date.now()), why };
  }
  return { kind: 'refused', code: said?.code ?? `http-${status}`, why, next: said?.next };
}

/** `undefined` beyond `bytesMax`; leaving off closes the connection. */
async function boundedText(body: Dispatcher.ResponseData['body'], bytesMax: Bytes): Promise<string | undefined> {
  const slices: Uint8Array[] = [];
  let lengthBytes = 0;
  for await (const slice of body) {
    if (!(slice instanceof Uint8Array)) throw new TypeError('a body must be bytes');
    lengthBytes += slice.length;
    if (lengthBytes > bytesMax) return undefined;
    slices.push(slice);
  }
  return Buffer.concat(slices).toString();
}

/** `undefined` for what is no JSON. */
function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // SyntaxError: the page of a proxy, or an empty body.
    return undefined;
  }
}

function failed(why: string): Extract<AnnounceResult, { readonly kind: 'failed' }> {
  return { kind: 'failed', retryAfterMs: undefined, why };
}
