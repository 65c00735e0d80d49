import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AgentId, parseAgentId, parseBootId, parseZone } from '../../../core/ids.ts';
import type { PeerEntry } from '../../../core/peer-message.ts';
import { JOB, type TestPeer, TOKEN } from './test-peer.ts';

/** Speaks the protocol by hand, so that it can also break it. */
export class RawPeer {
  readonly server: Http2Server;
  readonly id: AgentId = parseAgentId('raw');
  /** Answers a chunk request. */
  onGet: (stream: ServerHttp2Stream) => void = () => undefined;
  /** The transport's lines come in on it. */
  heard: ServerHttp2Stream | undefined;
  port = 0;
  readonly #inbound = new Set<ServerHttp2Session>();
  readonly #outbound = new Set<ClientHttp2Session>();

  constructor() {
    this.server = createServer({ maxSessionMemory: 1000 });
    this.server.on('session', session => {
      this.#inbound.add(session);
      session.on('error', () => undefined);
    });
    this.server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      if (headers[':method'] === 'GET') return this.onGet(stream);
      this.heard = stream;
      stream.resume();
      stream.respond({ ':status': 200 });
    });
  }

  get entry(): PeerEntry {
    const { id, port } = this;
    return { agentId: id, bootId: parseBootId('boot-1'), host: '127.0.0.1', port, zone: parseZone('zone-1') };
  }

  get hello(): string {
    const json = { kind: 'hello', from: this.entry, have: '00', arriving: [] };
    return `${JSON.stringify(json)}\n`;
  }

  async listen(): Promise<this> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve));
    const address = this.server.address();
    this.port = typeof address === 'object' && address ? address.port : 0;
    return this;
  }

  /** A session to the transport, with nothing said on it. */
  async dial(to: TestPeer): Promise<ClientHttp2Session> {
    const session = connect(`http://127.0.0.1:${to.entry.port}`);
    session.on('error', () => undefined);
    this.#outbound.add(session);
    await once(session, 'connect');
    return session;
  }

  /** A whole link, as the transport sees it. Returns the session that we dialled, and the stream of our lines on it. */
  async link(to: TestPeer): Promise<{ readonly session: ClientHttp2Session; readonly stream: ClientHttp2Stream }> {
    const session = await this.dial(to);
    const stream = post(session);
    stream.write(this.hello);
    await to.until(() => to.hellos.length > 0);
    return { session, stream };
  }

  async close(): Promise<void> {
    for (const session of [...this.#inbound, ...this.#outbound]) session.destroy();
    await new Promise(resolve => this.server.close(resolve));
  }
}

export function post(session: ClientHttp2Session, headers: Readonly<Record<string, string>> = {}): ClientHttp2Stream {
  const stream = session.request(
    { ':method': 'POST', ':path': `/v1/jobs/${JOB}/link`, authorization: `Bearer ${TOKEN}`, ...headers },
    { endStream: false },
  );
  stream.on('error', () => undefined);
  stream.resume();
  return stream;
}

export function get(session: ClientHttp2Session, headers: Readonly<Record<string, string>> = {}): ClientHttp2Stream {
  const stream = session.request({
    ':path': `/v1/jobs/${JOB}/chunks/0`,
    authorization: `Bearer ${TOKEN}`,
    ...headers,
  });
  stream.on('error', () => undefined);
  stream.resume();
  return stream;
}

export async function statusOf(stream: ClientHttp2Stream): Promise<number | undefined> {
  const headers = await new Promise<IncomingHttpHeaders & { readonly ':status'?: number | undefined }>(resolve =>
    stream.once('response', resolve),
  );
  return headers[':status'];
}
