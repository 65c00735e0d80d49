import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';

/** One request for bytes of a job. */
export type Read = {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  sentBytes: number;
};

/**
 * Stands between agents and an origin and lets everything through, but of the job's bytes only as many requests as it
 * is told: of a further one it passes half of the bytes and holds the rest, until `release`. So "half-way" is a state
 * that lasts, not a moment to be caught. It also keeps account of what left the origin.
 */
export class OriginGate {
  readonly url: string;
  readonly port: number;
  /** In the order they came. */
  readonly reads: Read[] = [];
  readonly #server: Server;
  readonly #upstreamPort: number;
  readonly #connections = new Agent({ keepAlive: true });
  readonly #watchers = new Set<() => void>();
  #passMax = Number.POSITIVE_INFINITY;
  #uploads = 0;
  #heldCount = 0;
  #released = Promise.withResolvers<void>();

  private constructor(server: Server, port: number, upstreamPort: number) {
    this.#server = server;
    this.#upstreamPort = upstreamPort;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    server.on('request', (incoming, response) => this.#pass(incoming, response));
  }

  static async open(upstreamPort: number): Promise<OriginGate> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP server has an address');
    return new OriginGate(server, address.port, upstreamPort);
  }

  /** Requests that are being held. */
  get heldCount(): number {
    return this.#heldCount;
  }

  get sentBytes(): number {
    return this.reads.reduce((sum, read) => sum + read.sentBytes, 0);
  }

  /** Let the first `count` reads (or parts of an upload) through, counted from the opening, and hold all later ones. */
  holdAfter(count: number): void {
    this.#passMax = count;
  }

  release(): void {
    this.#passMax = Number.POSITIVE_INFINITY;
    this.#released.resolve();
    this.#released = Promise.withResolvers();
  }

  /** Resolves when so many requests are held. */
  holds(count: number): Promise<void> {
    return new Promise(resolve => {
      const look = (): void => {
        if (this.#heldCount < count) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** As if the origin had died: all connections are cut, further ones refused. */
  async close(): Promise<void> {
    this.#connections.destroy();
    const closed = new Promise(resolve => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #pass(incoming: IncomingMessage, response: ServerResponse): void {
    const { method = 'GET', url = '/', headers } = incoming;
    const upstream = request({ port: this.#upstreamPort, method, path: url, headers, agent: this.#connections });
    const cut = (): void => {
      upstream.destroy();
      response.destroy();
    };
    upstream.on('error', cut);
    response.on('error', cut);
    response.on('close', () => upstream.destroy());
    upstream.on('response', answer => {
      answer.on('error', cut);
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      const read = readOf(method, url, headers.range);
      if (read === undefined) answer.pipe(response);
      else this.#meter(answer, response, read).catch(cut);
    });
    if (method === 'PUT' && url.startsWith('/v1/uploads/')) void this.#passPart(incoming, upstream);
    else incoming.pipe(upstream);
  }

  async #meter(answer: IncomingMessage, response: ServerResponse, read: Read): Promise<void> {
    this.reads.push(read);
    const holdAt = this.reads.length > this.#passMax ? Math.floor(read.lengthBytes / 2) : Number.POSITIVE_INFINITY;
    let isHeld = holdAt !== Number.POSITIVE_INFINITY;
    for await (const slice of answer) {
      if (!Buffer.isBuffer(slice)) throw new TypeError('a body must be bytes');
      for (let at = 0; at < slice.length; ) {
        if (isHeld && read.sentBytes >= holdAt) {
          await this.#hold(response);
          isHeld = false;
        }
        const end = isHeld ? Math.min(slice.length, at + holdAt - read.sentBytes) : slice.length;
        if (response.destroyed) return;
        const isTaken = response.write(slice.subarray(at, end));
        read.sentBytes += end - at;
        at = end;
        if (!isTaken) await Promise.race([once(response, 'drain'), once(response, 'close')]);
      }
    }
    response.end();
  }

  async #passPart(incoming: IncomingMessage, upstream: ReturnType<typeof request>): Promise<void> {
    this.#uploads += 1;
    if (this.#uploads > this.#passMax) await this.#hold(incoming);
    incoming.pipe(upstream);
  }

  async #hold(until: ServerResponse | IncomingMessage): Promise<void> {
    this.#heldCount += 1;
    for (const look of [...this.#watchers]) look();
    const gone = new Promise<void>(resolve => until.once('close', resolve));
    await Promise.race([this.#released.promise, gone]);
    this.#heldCount -= 1;
  }
}

/** `undefined` for everything but a read of a job's bytes. */
function readOf(method: string, url: string, range: string | undefined): Read | undefined {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  if (method !== 'GET' || !/\/data-[0-9a-f]+$/.test(url) || first === undefined || last === undefined) return undefined;
  return { offsetBytes: Number(first), lengthBytes: Number(last) - Number(first) + 1, sentBytes: 0 };
}
