import type { IncomingMessage } from 'node:http';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Millis } from '../../core/ids.ts';
import type { ObjectDirectory } from '../origins/object-directory.ts';
import { decodeObjectKey } from '../origins/object-key.ts';
import type { BearerToken } from '../peers/bearer-token.ts';
import { answerObject } from './object-routes.ts';
import { jsonReply, methodReply, problemReply, type Reply, tooLong } from './reply.ts';
import { announcedLength, type BodyMeter, collectBody } from './request-body.ts';
import { answerUpload } from './upload-routes.ts';
import type { UploadStaging } from './upload-staging.ts';

/** Fits tracker/routes.ts. */
export type TrackerHandler = (request: {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly body: Uint8Array;
  readonly remoteHost: string;
  readonly now: Millis;
}) => Promise<{
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Behind a 500, for the log. */
  readonly cause?: unknown;
}>;

export type Rooms = {
  readonly directory: ObjectDirectory;
  readonly staging: UploadStaging;
  readonly token: BearerToken | undefined;
  readonly tracker: TrackerHandler | undefined;
  readonly onTrackerFailure: (cause: unknown) => void;
};

const OBJECTS = '/v1/objects/';
const UPLOADS = '/v1/uploads/';
const JOBS = '/v1/jobs/';

/** Who answers what. The path is taken as it was sent: `URL` would fold `..` and `%2e%2e` away before they are refused. */
export async function answerRequest(request: IncomingMessage, rooms: Rooms, meter: BodyMeter): Promise<Reply> {
  const target = request.url ?? '';
  const questionMark = target.indexOf('?');
  const path = questionMark < 0 ? target : target.slice(0, questionMark);
  if (path === '/v1/health') return answerHealth(request);
  if (rooms.token !== undefined && !rooms.token.accepts(request.headers.authorization)) return unauthorized(request);
  if (path.startsWith(OBJECTS)) {
    const key = parseKey(path.slice(OBJECTS.length));
    return key.kind === 'refused' ? key.reply : answerObject(request, key.key, rooms.directory, meter);
  }
  if (path.startsWith(UPLOADS)) {
    const key = parseKey(path.slice(UPLOADS.length));
    if (key.kind === 'refused') return key.reply;
    const query = new URLSearchParams(questionMark < 0 ? '' : target.slice(questionMark));
    return answerUpload(request, { key: key.key, query }, rooms.staging, meter);
  }
  if (path.startsWith(JOBS) && rooms.tracker !== undefined) return askTracker(request, path, rooms, meter);
  return problemReply(404, {
    code: 'usage',
    message: 'there is nothing here',
    next: 'check the path: /v1/objects/<key>',
  });
}

function answerHealth(request: IncomingMessage): Reply {
  if (request.method !== 'GET' && request.method !== 'HEAD') return methodReply('GET, HEAD');
  return jsonReply(200, { status: 'ok' });
}

function unauthorized(request: IncomingMessage): Reply {
  const reply = problemReply(401, {
    code: 'origin-refused',
    message: 'the token is missing or wrong',
    next: "give the origin's token by --token or STARLING_TOKEN",
  });
  const headers = { ...reply.headers, 'www-authenticate': 'Bearer' };
  const isLong = (announcedLength(request) ?? Number.POSITIVE_INFINITY) > config.originServer.drainBytesMax;
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  return { ...reply, headers: hasBody && isLong ? { ...headers, connection: 'close' } : headers };
}

function parseKey(path: string): { kind: 'key'; readonly key: string } | { kind: 'refused'; readonly reply: Reply } {
  try {
    return { kind: 'key', key: decodeObjectKey(path) };
  } catch (cause) {
    if (!(cause instanceof StarlingError)) throw cause;
    return { kind: 'refused', reply: problemReply(400, { code: 'usage', message: cause.message }) };
  }
}

async function askTracker(request: IncomingMessage, path: string, rooms: Rooms, meter: BodyMeter): Promise<Reply> {
  const { tracker } = rooms;
  if (tracker === undefined) return problemReply(404, { code: 'usage', message: 'this server is no tracker' });
  const body = await collectBody(request, config.tracker.announceBytesMax, meter);
  if (body === 'too-long') return tooLong(config.tracker.announceBytesMax);
  const method = request.method ?? 'GET';
  const remoteHost = request.socket.remoteAddress ?? '';
  const reply = await tracker({ method, path, body, remoteHost, now: Date.now() });
  if (reply.cause !== undefined) rooms.onTrackerFailure(reply.cause);
  return { kind: 'short', status: reply.status, headers: reply.headers, body: reply.body };
}
