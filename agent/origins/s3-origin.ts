import { Readable } from 'node:stream';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { AssertionError } from '../../core/assert.ts';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes } from '../../core/ids.ts';
import type { Rng } from '../../core/rng.ts';
import { type Outcome, throwIfAborted, withRetries } from './attempts.ts';
import { collectBody } from './body-bytes.ts';
import { checkObjectKey } from './object-key.ts';
import type { ByteRange, LargeUpload, Origin } from './origin.ts';
import { readResuming } from './resuming-read.ts';
import { isConflict, isMissingObject, readFault, s3Failure } from './s3-failure.ts';
import { type S3Place, uploadInParts } from './s3-multipart.ts';
import { planParts } from './upload-parts.ts';

export type S3Location = { readonly bucket: string; readonly prefix: string };

/**
 * A client with this project's limits. Credentials, region and endpoint come from where the SDK takes them: the
 * environment (AWS_REGION, AWS_ENDPOINT_URL_S3, ...), the profile, the instance's role.
 */
export function makeS3Client(env: NodeJS.ProcessEnv): S3Client {
  const endpoint = env['AWS_ENDPOINT_URL_S3'] ?? env['AWS_ENDPOINT_URL'];
  // The SDK reads AWS_REGION and the profile; AWS_DEFAULT_REGION is what the aws command reads. Other stores have none.
  const region = env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? (endpoint === undefined ? undefined : 'us-east-1');
  const agent = { keepAlive: true, maxSockets: config.s3.connectionsMax };
  return new S3Client({
    ...(region === undefined ? {} : { region }),
    // Other stores seldom have a host name for every bucket.
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    retryMode: 'standard',
    maxAttempts: config.s3.triesMax,
    // S3 has no checksum of a range; chunks are verified by their hash. Uploads keep the SDK's CRC.
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: config.originRequest.connectTimeoutMs,
      socketTimeout: config.originRequest.idleTimeoutMs,
      httpAgent: agent,
      httpsAgent: agent,
    },
  });
}

/** Throws `usage` if nothing tells the region, before the first request does so less clearly. */
export async function openS3Origin(location: S3Location, env: NodeJS.ProcessEnv, rng: Rng): Promise<S3Origin> {
  const client = makeS3Client(env);
  try {
    await client.config.region();
  } catch (cause) {
    client.destroy();
    throw new StarlingError('usage', `the region of s3://${location.bucket} is not known`, {
      next: "set AWS_REGION to the bucket's region, as in AWS_REGION=eu-central-1",
      cause,
    });
  }
  return new S3Origin(client, location, rng);
}

/** Amazon S3, or a store that speaks as it does and has conditional writes. */
export class S3Origin implements Origin {
  readonly url: string;
  readonly #client: S3Client;
  readonly #location: S3Location;
  readonly #rng: Rng;

  constructor(client: S3Client, location: S3Location, rng: Rng) {
    this.#client = client;
    this.#location = location;
    this.#rng = rng;
    this.url = `s3://${location.bucket}${location.prefix === '' ? '' : `/${location.prefix}`}`;
  }

  async readObject(
    key: string,
    limits: { readonly bytesMax: Bytes; readonly signal?: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    const what = `reading ${key} from ${this.url}`;
    const place = this.#place(key);
    const attempt = async (): Promise<Outcome<Uint8Array | undefined>> => {
      const body = await this.#get(what, place, limits.signal);
      if (body === undefined) return { kind: 'done', value: undefined };
      try {
        return { kind: 'done', value: await collectBody(what, body, limits.bytesMax) };
      } catch (cause) {
        throwIfAborted(limits.signal);
        if (cause instanceof StarlingError) throw cause;
        // The SDK tries again until there is an answer; a body that breaks off later is ours to ask for again.
        return { kind: 'again', error: this.#failure(what, cause), retryAfterMs: undefined };
      }
    };
    return withRetries(attempt, config.originRequest, this.#rng, limits.signal);
  }

  readRange(key: string, range: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const what = `reading ${key} from ${this.url}`;
    return readResuming(
      range,
      {
        open: async (rest, during) => this.#openRange(what, this.#place(key), rest, during),
        broken: cause => this.#failure(what, cause),
        overlong: () => new StarlingError('origin-refused', `${what}: S3 sent more than was asked for`),
      },
      config.originRequest,
      this.#rng,
      signal,
    );
  }

  async writeObjectIfAbsent(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<'written' | 'exists'> {
    const what = `writing ${key} to ${this.url}`;
    const place = this.#place(key);
    const command = new PutObjectCommand({ ...place, Body: bytes, ContentLength: bytes.length, IfNoneMatch: '*' });
    const attempt = async (tryIndex: number): Promise<Outcome<'written' | 'exists'>> => {
      try {
        await this.#client.send(command, abortable(signal));
        return { kind: 'done', value: 'written' };
      } catch (cause) {
        throwIfAborted(signal);
        const fault = readFault(cause);
        const failure = this.#failure(what, cause);
        if (!isConflict(fault)) throw failure;
        // 409: another write of this key has not ended. It wins or fails; asking again tells.
        if (fault.status === 409) return { kind: 'again', error: failure, retryAfterMs: undefined };
        const isRepeated = tryIndex > 0 || fault.attempts > 1;
        return { kind: 'done', value: isRepeated ? await this.#settleExisting(key, bytes, signal) : 'exists' };
      }
    };
    return withRetries(attempt, config.originRequest, this.#rng, signal);
  }

  async writeLargeObject(key: string, upload: LargeUpload): Promise<void> {
    const place = this.#place(key);
    if (await this.#has(key, upload.lengthBytes, upload.signal)) return upload.onProgress?.(upload.lengthBytes);
    const parts = planParts(upload);
    try {
      if (parts.length > 1) return await uploadInParts(this.#client, place, parts, upload);
      const bytes = await upload.read({ offsetBytes: 0, lengthBytes: upload.lengthBytes });
      const command = new PutObjectCommand({ ...place, Body: bytes, ContentLength: bytes.length, IfNoneMatch: '*' });
      await this.#client.send(command, abortable(upload.signal));
      upload.onProgress?.(upload.lengthBytes);
    } catch (cause) {
      throwIfAborted(upload.signal);
      if (cause instanceof AssertionError) throw cause;
      const what = `uploading ${key} to ${this.url}`;
      const fault = readFault(cause);
      // Somebody else wrote it meanwhile; or it was us, and the answer was lost.
      if (!isConflict(fault) && fault.name !== 'NoSuchUpload') throw this.#failure(what, cause);
      if (await this.#has(key, upload.lengthBytes, upload.signal)) return;
      throw this.#failure(what, cause);
    }
  }

  hasObject(key: string, lengthBytes: Bytes): Promise<boolean> {
    return this.#has(key, lengthBytes, undefined);
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  async #get(what: string, place: S3Place, signal: AbortSignal | undefined): Promise<Readable | undefined> {
    throwIfAborted(signal);
    try {
      return bodyOf(await this.#client.send(new GetObjectCommand(place), abortable(signal)));
    } catch (cause) {
      throwIfAborted(signal);
      if (isMissingObject(readFault(cause))) return undefined;
      throw this.#failure(what, cause);
    }
  }

  async #openRange(what: string, place: S3Place, rest: ByteRange, signal: AbortSignal | undefined): Promise<Readable> {
    const last = rest.offsetBytes + rest.lengthBytes - 1;
    throwIfAborted(signal);
    try {
      const command = new GetObjectCommand({ ...place, Range: `bytes=${rest.offsetBytes}-${last}` });
      const answer = await this.#client.send(command, abortable(signal));
      const body = bodyOf(answer);
      const isAsked = answer.ContentRange?.startsWith(`bytes ${rest.offsetBytes}-${last}/`) ?? false;
      if (isAsked && answer.ContentLength === rest.lengthBytes) return body;
      body.destroy();
      throw new StarlingError(
        'origin-refused',
        `${what}: asked for bytes ${rest.offsetBytes}-${last}, got ${answer.ContentRange ?? 'the whole object'}`,
        { next: 'check that the object is whole: it is shorter than its manifest says' },
      );
    } catch (cause) {
      throwIfAborted(signal);
      throw this.#failure(what, cause);
    }
  }

  async #has(key: string, lengthBytes: Bytes, signal: AbortSignal | undefined): Promise<boolean> {
    throwIfAborted(signal);
    try {
      const answer = await this.#client.send(new HeadObjectCommand(this.#place(key)), abortable(signal));
      return answer.ContentLength === lengthBytes;
    } catch (cause) {
      throwIfAborted(signal);
      if (isMissingObject(readFault(cause))) return false;
      throw this.#failure(`looking for ${key} at ${this.url}`, cause);
    }
  }

  /** After 412. A try before this one may have written it, its answer lost: then the object that is there is ours. */
  async #settleExisting(key: string, bytes: Uint8Array, signal: AbortSignal | undefined) {
    if (!(await this.#has(key, bytes.length, signal))) return 'exists';
    const limits = { bytesMax: bytes.length, ...(signal === undefined ? {} : { signal }) };
    const there = await this.readObject(key, limits);
    return there !== undefined && Buffer.compare(there, bytes) === 0 ? 'written' : 'exists';
  }

  #place(key: string): S3Place {
    checkObjectKey(key);
    const { bucket, prefix } = this.#location;
    return { Bucket: bucket, Key: prefix === '' ? key : `${prefix}/${key}` };
  }

  #failure(what: string, cause: unknown): StarlingError {
    return s3Failure(what, this.#location.bucket, cause);
  }
}

function abortable(signal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

function bodyOf(answer: { readonly Body?: unknown }): Readable {
  if (answer.Body instanceof Readable) return answer.Body;
  throw new StarlingError('origin-unreachable', 'S3 answered without a body');
}
