import { randomUUID } from 'node:crypto';
import { type Dispatcher, Pool } from 'undici';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes } from '../../core/ids.ts';
import type { Rng } from '../../core/rng.ts';
import { interrupted, type Outcome, withRetries } from './attempts.ts';
import { collectBody } from './body-bytes.ts';
import { connectionFailure, isConnectionFailure, isPassing, refusalFailure, retryAfterMs } from './http-failure.ts';
import { checkObjectKey, encodeObjectKey } from './object-key.ts';
import type { ByteRange, LargeUpload, Origin } from './origin.ts';
import { readResuming } from './resuming-read.ts';
import { planParts, sendParts } from './upload-parts.ts';

const { originRequest } = config;

type Answer = Dispatcher.ResponseData;
type Ask = {
  readonly what: string;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Until the first byte of the answer. */
  readonly headersTimeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
};

/** The embedded origin server, or what speaks as it does, over HTTP/1.1. */
export class HttpOrigin implements Origin {
  readonly url: string;
  readonly #pool: Pool;
  readonly #basePath: string;
  readonly #authorization: Readonly<Record<string, string>>;
  readonly #rng: Rng;

  /** `url` is http(s) without credentials, query or fragment; a path in it goes before ours. */
  constructor(url: URL, token: string | undefined, rng: Rng) {
    this.url = url.href.replace(/\/$/, '');
    this.#basePath = url.pathname.replace(/\/$/, '');
    this.#authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.#rng = rng;
    this.#pool = new Pool(url.origin, {
      connections: originRequest.connectionsMax,
      // One stream a connection: the flow limit of a cloud is per connection, and 1.1 is cheaper for long bodies (field/theory.md 4.1).
      allowH2: false,
      pipelining: 1,
      connect: { timeout: originRequest.connectTimeoutMs },
      headersTimeout: originRequest.idleTimeoutMs,
      bodyTimeout: originRequest.idleTimeoutMs,
    });
  }

  async readObject(
    key: string,
    limits: { readonly bytesMax: Bytes; readonly signal?: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    const what = `reading ${key} from ${this.url}`;
    const request = { what, method: 'GET', path: objectPath(key), signal: limits.signal } as const;
    return this.#retrying(request, async answer => {
      if (answer.statusCode === 200) return done(await collectBody(what, answer.body, limits.bytesMax));
      if (answer.statusCode !== 404) return this.#refused(what, answer);
      await drain(answer);
      return done(undefined);
    });
  }

  readRange(key: string, range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const what = `reading ${key} from ${this.url}`;
    return readResuming(
      range,
      {
        open: async (rest, during) => this.#openRange(what, objectPath(key), rest, during),
        broken: cause => connectionFailure(what, cause),
        overlong: () => new StarlingError('origin-refused', `${what}: the server sent more than was asked for`),
      },
      config.originRequest,
      this.#rng,
      signal,
    );
  }

  async writeObjectIfAbsent(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<'written' | 'exists'> {
    const what = `writing ${key} to ${this.url}`;
    const request = {
      what,
      method: 'PUT',
      path: objectPath(key),
      headers: { 'if-none-match': '*' },
      body: bytes,
      headersTimeoutMs: config.originServer.requestTimeoutMs,
      signal,
    } as const;
    return this.#retrying(request, async (answer, tryIndex) => {
      if (answer.statusCode !== 201 && answer.statusCode !== 412) return this.#refused(what, answer);
      await drain(answer);
      if (answer.statusCode === 201) return done('written');
      // The answer of an earlier try may be what got lost: then the object that is there is ours.
      const isOurs = tryIndex > 0 && (await this.#holds(key, bytes, signal));
      return done(isOurs ? 'written' : 'exists');
    });
  }

  async writeLargeObject(key: string, upload: LargeUpload): Promise<void> {
    checkObjectKey(key);
    if (await this.#has(key, upload.lengthBytes, upload.signal)) return upload.onProgress?.(upload.lengthBytes);
    const path = `/v1/uploads/${encodeObjectKey(key)}?upload=${randomUUID()}&length=${upload.lengthBytes}`;
    const what = `uploading ${key} to ${this.url}`;
    const headersTimeoutMs = config.originServer.requestTimeoutMs;
    try {
      await sendParts(planParts(upload), upload, (part, body, signal) => {
        const partPath = `${path}&offset=${part.offsetBytes}`;
        return this.#settle({ what, method: 'PUT', path: partPath, body, headersTimeoutMs, signal });
      });
      await this.#settle({ what, method: 'POST', path, headersTimeoutMs, signal: upload.signal });
    } catch (cause) {
      await this.#abandon(path);
      throw cause;
    }
  }

  hasObject(key: string, lengthBytes: Bytes): Promise<boolean> {
    return this.#has(key, lengthBytes, undefined);
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #openRange(what: string, path: string, rest: ByteRange, signal: AbortSignal | undefined) {
    const last = rest.offsetBytes + rest.lengthBytes - 1;
    const headers = { range: `bytes=${rest.offsetBytes}-${last}` };
    return this.#retrying<Answer['body']>({ what, method: 'GET', path, headers, signal }, async answer => {
      if (answer.statusCode >= 300) return this.#refused(what, answer);
      const { 'content-range': got, 'content-length': length } = answer.headers;
      const isAsked = typeof got === 'string' && got.startsWith(`bytes ${rest.offsetBytes}-${last}/`);
      if (answer.statusCode === 206 && isAsked && length === String(rest.lengthBytes)) return done(answer.body);
      await drain(answer);
      const said = `${answer.statusCode}, content-range ${String(got)}, content-length ${String(length)}`;
      throw new StarlingError('origin-refused', `${what}: asked for bytes ${rest.offsetBytes}-${last}, got ${said}`, {
        next: 'check that the object is whole, and that no proxy between changes range requests',
      });
    });
  }

  async #has(key: string, lengthBytes: Bytes, signal: AbortSignal | undefined): Promise<boolean> {
    const what = `looking for ${key} at ${this.url}`;
    return this.#retrying({ what, method: 'HEAD', path: objectPath(key), signal }, async answer => {
      if (answer.statusCode !== 200 && answer.statusCode !== 404) return this.#refused(what, answer);
      await drain(answer);
      return done(answer.statusCode === 200 && answer.headers['content-length'] === String(lengthBytes));
    });
  }

  async #holds(key: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<boolean> {
    if (!(await this.#has(key, bytes.length, signal))) return false;
    const limits = { bytesMax: bytes.length, ...(signal === undefined ? {} : { signal }) };
    const there = await this.readObject(key, limits);
    return there !== undefined && Buffer.compare(there, bytes) === 0;
  }

  /** A request of which only the success matters. */
  async #settle(ask: Ask): Promise<void> {
    await this.#retrying(ask, async answer => {
      if (answer.statusCode >= 300) return this.#refused(ask.what, answer);
      await drain(answer);
      return done(undefined);
    });
  }

  /** The staged bytes are swept after a day in any case; failing to say so must not hide why the upload failed. */
  async #abandon(path: string): Promise<void> {
    const answer = await this.#send({ what: 'abandoning an upload', method: 'DELETE', path }).catch(() => undefined);
    await answer?.body.dump({ limit: originRequest.errorBytesMax }).catch(() => undefined);
  }

  #retrying<T>(ask: Ask, judge: (answer: Answer, tryIndex: number) => Promise<Outcome<T>>): Promise<T> {
    const attempt = async (tryIndex: number): Promise<Outcome<T>> => {
      try {
        return await judge(await this.#send(ask), tryIndex);
      } catch (cause) {
        if (ask.signal?.aborted) throw interrupted(cause);
        if (!isConnectionFailure(cause)) throw cause;
        const error = connectionFailure(ask.what, cause);
        if (error.code !== 'origin-unreachable') throw error;
        return { kind: 'again', error, retryAfterMs: undefined };
      }
    };
    return withRetries(attempt, originRequest, this.#rng, ask.signal);
  }

  #send(ask: Ask): Promise<Answer> {
    return this.#pool.request({
      method: ask.method,
      path: this.#basePath + ask.path,
      headers: { ...this.#authorization, ...ask.headers },
      body: ask.body ?? null,
      headersTimeout: ask.headersTimeoutMs ?? originRequest.idleTimeoutMs,
      signal: ask.signal ?? null,
    });
  }

  async #refused(what: string, answer: Answer): Promise<Outcome<never>> {
    const detail = await collectText(answer);
    const error = refusalFailure(what, { status: answer.statusCode, headers: answer.headers, detail });
    if (!isPassing(answer.statusCode)) throw error;
    return { kind: 'again', error, retryAfterMs: retryAfterMs(answer.headers, Date.now()) };
  }
}

function objectPath(key: string): string {
  checkObjectKey(key);
  return `/v1/objects/${encodeObjectKey(key)}`;
}

function done<T>(value: T): Outcome<T> {
  return { kind: 'done', value };
}

/** The connection is free again only when its answer was read to the end. */
async function drain(answer: Answer): Promise<void> {
  await answer.body.dump({ limit: originRequest.errorBytesMax });
}

async function collectText(answer: Answer): Promise<string> {
  const bytes: Buffer[] = [];
  let lengthBytes = 0;
  for await (const slice of answer.body) {
    if (!Buffer.isBuffer(slice)) break;
    lengthBytes += slice.length;
    bytes.push(slice);
    if (lengthBytes > originRequest.errorBytesMax) break;
  }
  return Buffer.concat(bytes).subarray(0, originRequest.errorBytesMax).toString();
}
