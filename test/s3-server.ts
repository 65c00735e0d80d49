import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const PART_BYTES_MIN = 5 * 1024 * 1024;

/** What one request is to suffer instead of, or on top of, its answer. `cut`: the body breaks off half way. */
export type Fault =
  | {
      readonly kind: 'refuse';
      readonly status: number;
      readonly code: string;
      readonly headers?: Record<string, string>;
    }
  | { readonly kind: 'cut' }
  | { readonly kind: 'lose-answer' };
export type S3Request = {
  readonly operation: string;
  readonly key: string;
  readonly headers: IncomingMessage['headers'];
};

export type S3Server = {
  readonly endpoint: string;
  /** All requests so far, in order of arrival. */
  readonly requests: readonly S3Request[];
  readonly objects: ReadonlyMap<string, Buffer>;
  /** Begun and neither completed nor aborted. */
  readonly uploads: ReadonlyMap<string, unknown>;
  interfere: (request: S3Request) => Fault | undefined;
  close(): Promise<void>;
};

type Upload = { readonly key: string; readonly parts: Map<number, Buffer> };
type Answer = { readonly status: number; readonly headers?: Record<string, string>; readonly body?: Buffer | string };

/**
 * The part of S3 that Starling uses, as its documentation describes it, with faults on demand: one bucket, path style,
 * signatures not checked. moto (test/moto-server.ts) tells whether this is what others understand S3 to be.
 */
export async function startS3Server(bucket: string): Promise<S3Server> {
  const objects = new Map<string, Buffer>();
  const uploads = new Map<string, Upload>();
  const requests: S3Request[] = [];
  const server = createServer((request, response) => void serve(request, response));
  const state: S3Server = {
    endpoint: '',
    requests,
    objects,
    uploads,
    interfere: () => undefined,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://s3');
    const [, name = '', ...names] = url.pathname.split('/');
    const key = names.map(decodeURIComponent).join('/');
    const seen = { operation: operationOf(request, url), key, headers: request.headers };
    requests.push(seen);
    const fault = state.interfere(seen);
    const slices: Buffer[] = [];
    for await (const slice of request) slices.push(slice);
    if (fault?.kind === 'refuse') return send(response, seen, { ...error(fault.status, fault.code), ...fault });
    const answer =
      name === bucket ? answerTo(seen, url, Buffer.concat(slices), { objects, uploads }) : error(404, 'NoSuchBucket');
    if (fault?.kind === 'lose-answer') return void request.socket.destroy();
    send(response, seen, answer, fault?.kind === 'cut');
  };
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(state, { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

function operationOf({ method }: IncomingMessage, { searchParams }: URL): string {
  if (searchParams.has('uploads')) return 'CreateMultipartUpload';
  if (!searchParams.has('uploadId')) return `${method}Object`;
  if (method === 'PUT') return 'UploadPart';
  return method === 'POST' ? 'CompleteMultipartUpload' : 'AbortMultipartUpload';
}

function answerTo(
  { operation, key, headers }: S3Request,
  url: URL,
  body: Buffer,
  { objects, uploads }: { readonly objects: Map<string, Buffer>; readonly uploads: Map<string, Upload> },
): Answer {
  const id = url.searchParams.get('uploadId') ?? '';
  const upload = uploads.get(id);
  switch (operation) {
    case 'GETObject':
    case 'HEADObject':
      return readAnswer(objects.get(key), headers.range);
    case 'PUTObject':
      if (headers['if-none-match'] === '*' && objects.has(key)) return error(412, 'PreconditionFailed');
      objects.set(key, body);
      return { status: 200, headers: { etag: etagOf(body) } };
    case 'CreateMultipartUpload': {
      const created = randomUUID();
      uploads.set(created, { key, parts: new Map() });
      const text = `<Bucket>b</Bucket><Key>${key}</Key><UploadId>${created}</UploadId>`;
      return { status: 200, body: `<InitiateMultipartUploadResult>${text}</InitiateMultipartUploadResult>` };
    }
    case 'UploadPart':
      if (upload === undefined) return error(404, 'NoSuchUpload');
      upload.parts.set(Number(url.searchParams.get('partNumber')), body);
      return { status: 200, headers: { etag: etagOf(body) } };
    case 'CompleteMultipartUpload':
      if (upload === undefined) return error(404, 'NoSuchUpload');
      if (headers['if-none-match'] === '*' && objects.has(key)) return error(412, 'PreconditionFailed');
      return completed(upload, body.toString(), whole => {
        objects.set(key, whole);
        uploads.delete(id);
      });
    case 'AbortMultipartUpload':
      return uploads.delete(id) ? { status: 204 } : error(404, 'NoSuchUpload');
    default:
      return error(501, 'NotImplemented');
  }
}

function readAnswer(object: Buffer | undefined, range: string | undefined): Answer {
  if (object === undefined) return error(404, 'NoSuchKey');
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  if (from === undefined || to === undefined) return { status: 200, body: object };
  if (Number(from) >= object.length) return error(416, 'InvalidRange');
  const body = object.subarray(Number(from), Number(to) + 1);
  const last = Number(from) + body.length - 1;
  return { status: 206, headers: { 'content-range': `bytes ${from}-${last}/${object.length}` }, body };
}

function completed(upload: Upload, xml: string, show: (whole: Buffer) => void): Answer {
  const listed = [...xml.matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map(match => Number(match[1]));
  const etags = [...xml.matchAll(/<ETag>(?:&quot;|")?([0-9a-f]+)(?:&quot;|")?<\/ETag>/g)].map(match => `"${match[1]}"`);
  const parts = listed.map(number => upload.parts.get(number));
  if (parts.some((part, at) => part === undefined || etagOf(part) !== etags[at])) return error(400, 'InvalidPart');
  if (listed.some((number, at) => at > 0 && number <= (listed[at - 1] ?? 0))) return error(400, 'InvalidPartOrder');
  const whole = parts.flatMap(part => part ?? []);
  if (whole.slice(0, -1).some(part => part.length < PART_BYTES_MIN)) return error(400, 'EntityTooSmall');
  show(Buffer.concat(whole));
  return {
    status: 200,
    body: `<CompleteMultipartUploadResult><Key>${upload.key}</Key></CompleteMultipartUploadResult>`,
  };
}

function send(response: ServerResponse, { operation }: S3Request, answer: Answer, isCut = false): void {
  const body = Buffer.from(answer.body ?? '');
  const length = answer.status === 204 ? {} : { 'content-length': body.length };
  response.writeHead(answer.status, { ...length, ...answer.headers });
  if (operation === 'HEADObject') return void response.end();
  if (!isCut) return void response.end(body);
  response.write(body.subarray(0, body.length >> 1), () => response.destroy());
}

function error(status: number, code: string): Answer {
  const xml = `<Error><Code>${code}</Code><Message>said by the test</Message></Error>`;
  return { status, headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0"?>${xml}` };
}

function etagOf(body: Buffer): string {
  return `"${createHash('md5').update(body).digest('hex')}"`;
}
