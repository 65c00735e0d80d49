import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes } from '../../core/ids.ts';
import { type EventLog, silentLog } from '../event-log.ts';
import { errorCode } from '../origins/file-failure.ts';
import { ObjectDirectory, sweepBefore } from '../origins/object-directory.ts';
import { BearerToken } from '../peers/bearer-token.ts';
import { SliceBuffers } from '../peers/slice-buffers.ts';
import { sendObject } from './object-stream.ts';
import { answerRequest, type Rooms, type TrackerHandler } from './origin-router.ts';
import { failureReply, type Reply } from './reply.ts';
import { BodyCut, BodyMeter } from './request-body.ts';
import { UploadStaging } from './upload-staging.ts';

export type OriginServerSettings = {
  /** Made if it is not there. Readable by file:// origins too. */
  readonly dataDir: string;
  /** To listen on: `0.0.0.0` and `::` are all addresses of the machine. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Asked of every request but /v1/health; `undefined`: anybody may read and write. */
  readonly token: string | undefined;
  /** Answers /v1/jobs/; `undefined`: 404. */
  readonly tracker: TrackerHandler | undefined;
  readonly log?: EventLog;
};

export type OriginServer = {
  /** With the host as it was given: for `0.0.0.0` others need an address of the machine instead. */
  readonly url: string;
  readonly port: number;
  /** What went over the wire since the start, and what is going on now. */
  readonly counters: Readonly<OriginCounters>;
  /** Stop accepting, let running requests end for `originServer.closeGraceMs`, cut the rest. */
  close(): Promise<void>;
};

export type OriginCounters = {
  requests: number;
  /** Of objects and their ranges, as far as clients took them. */
  objectBytesSent: Bytes;
  /** Of objects, parts and tracker requests. */
  bodyBytesReceived: Bytes;
  /** Answers being sent now; each holds one open file. */
  readsOpen: number;
};

/**
 * The embedded origin: objects of one directory over HTTP/1.1, and the tracker behind the same port.
 * Throws `port-in-use`, `destination-unwritable` for the data directory, `usage` for an address that is not ours.
 */
export async function startOriginServer(settings: OriginServerSettings): Promise<OriginServer> {
  const log = settings.log ?? silentLog;
  const directory = await prepareDirectory(settings.dataDir);
  const counters = { requests: 0, objectBytesSent: 0, bodyBytesReceived: 0, readsOpen: 0 };
  const rooms: Rooms = {
    directory,
    staging: new UploadStaging(directory),
    token: settings.token === undefined ? undefined : new BearerToken(settings.token),
    tracker: settings.tracker,
    onTrackerFailure: cause => log.warn('tracker-failed', { error: String(cause) }),
  };
  const desk = new Desk(rooms, counters, log);
  const server = makeServer((request, response) => desk.take(request, response));
  const port = await listen(server, settings);
  server.on('error', cause => log.warn('accept-failed', { error: String(cause) }));
  const sweep = (): void => sweepStaging(directory, log);
  sweep();
  const sweeper = setInterval(sweep, config.originServer.sweepIntervalMs).unref();
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  return {
    url: `http://${host}:${port}`,
    port,
    counters,
    close: async () => {
      clearInterval(sweeper);
      desk.isClosing = true;
      await closeServer(server);
      await desk.untilIdle();
    },
  };
}

/** Takes requests in, sends replies out, and sees to it that nothing of either stays behind. */
class Desk {
  isClosing = false;
  readonly #rooms: Rooms;
  readonly #counters: OriginCounters;
  readonly #log: EventLog;
  /** At most one a connection that takes its answers one by one; `connectionsMax` bounds them. */
  readonly #serving = new Set<Promise<void>>();
  readonly #buffers = new SliceBuffers(config.originServer.readBytes, config.originServer.buffersKept);

  constructor(rooms: Rooms, counters: OriginCounters, log: EventLog) {
    this.#rooms = rooms;
    this.#counters = counters;
    this.#log = log;
  }

  take(request: IncomingMessage, response: ServerResponse): void {
    const serving = this.#serve(request, response).finally(() => this.#serving.delete(serving));
    this.#serving.add(serving);
  }

  /** Resolves when no request is being served, and none has a file open. */
  async untilIdle(): Promise<void> {
    await Promise.all(this.#serving);
  }

  /** Never rejects. */
  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A socket that breaks while an answer is written: `sendObject` and 'close' see to that.
    response.on('error', ignoreBrokenSocket);
    const meter = new BodyMeter();
    const beganAt = performance.now();
    let sentBytes = 0;
    this.#counters.requests += 1;
    try {
      sentBytes = await this.#send(response, await answerRequest(request, this.#rooms, meter));
    } catch (error) {
      this.#fail(request, response, error);
    } finally {
      this.#counters.bodyBytesReceived += meter.receivedBytes;
      this.#log.debug('request', {
        from: request.socket.remoteAddress,
        method: request.method,
        path: request.url?.split('?')[0],
        status: response.statusCode,
        sentBytes,
        receivedBytes: meter.receivedBytes,
        durationMs: Math.round(performance.now() - beganAt),
      });
    }
  }

  /** Resolves with the bytes of its body that went out. */
  async #send(response: ServerResponse, reply: Reply): Promise<Bytes> {
    if (this.isClosing) response.setHeader('connection', 'close');
    switch (reply.kind) {
      case 'short': {
        const body = Buffer.from(reply.body);
        const length = response.req.method === 'HEAD' || reply.status === 204 ? {} : { 'content-length': body.length };
        response.writeHead(reply.status, { ...length, ...reply.headers });
        response.end(body);
        return body.length;
      }
      case 'object':
        this.#counters.readsOpen += 1;
        try {
          response.writeHead(reply.status, reply.headers);
          const sentBytes = await sendObject(response, reply.object, reply.range, this.#buffers);
          // Not `+= await`: that reads the sum before the wait, and loses what others add meanwhile.
          this.#counters.objectBytesSent += sentBytes;
          return sentBytes;
        } finally {
          this.#counters.readsOpen -= 1;
        }
    }
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    if (error instanceof BodyCut) return;
    const path = request.url?.split('?')[0];
    this.#log.warn('request-failed', { method: request.method, path, error: String(error) });
    // Once the head is out, only a cut tells the client that what it got is not all.
    if (response.headersSent) response.destroy();
    else void this.#send(response, failureReply(error));
  }
}

async function prepareDirectory(dataDir: string): Promise<ObjectDirectory> {
  const directory = new ObjectDirectory(dataDir);
  try {
    await directory.prepare();
  } catch (cause) {
    throw new StarlingError('destination-unwritable', `the data directory ${directory.path} cannot be written to`, {
      next: 'give another one with --data, or make it writable for this user',
      cause,
    });
  }
  return directory;
}

function makeServer(take: (request: IncomingMessage, response: ServerResponse) => void): Server {
  const { headersTimeoutMs, requestTimeoutMs, keepAliveMs, stalledMs, connectionsMax } = config.originServer;
  const options = { headersTimeout: headersTimeoutMs, requestTimeout: requestTimeoutMs, keepAliveTimeout: keepAliveMs };
  const server = createServer({ ...options, noDelay: true }, take);
  server.maxConnections = connectionsMax;
  // Destroys the socket: node's own doing where nobody listens to 'timeout'.
  server.timeout = stalledMs;
  return server;
}

function listen(server: Server, { host, port }: OriginServerSettings): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', cause => reject(listenFailure(cause, host, port)));
    server.listen({ host, port }, () => {
      server.removeAllListeners('error');
      resolve(portOf(server.address()));
    });
  });
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has an address');
  return address.port;
}

function listenFailure(cause: Error, host: string, port: number): StarlingError {
  const code = errorCode(cause) ?? cause.message;
  if (code === 'EADDRINUSE') {
    return new StarlingError('port-in-use', `port ${port} of ${host} is in use`, {
      next: 'choose another with --port, or stop the process that listens there',
      cause,
    });
  }
  return new StarlingError('usage', `cannot listen on ${host}:${port} (${code})`, {
    next: 'give an address of this machine with --host, and a port of 1024 or more',
    cause,
  });
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()));
  const cut = setTimeout(() => server.closeAllConnections(), config.originServer.closeGraceMs);
  await closed;
  clearTimeout(cut);
}

/** What a sweep cannot remove today it finds again in an hour. */
function sweepStaging(directory: ObjectDirectory, log: EventLog): void {
  directory.sweep(sweepBefore(Date.now())).then(
    swept => swept > 0 && log.info('staging-swept', { files: swept }),
    (error: unknown) => log.warn('sweep-failed', { error: String(error) }),
  );
}

function ignoreBrokenSocket(): void {}
