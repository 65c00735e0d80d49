import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import { sessionLimits } from './wire.ts';

/** The listening end: takes sessions within the limits of config.peers and hands them on. */
export function createPeerServer(onSession: (session: ServerHttp2Session) => void): Http2Server {
  const server = createServer({
    ...sessionLimits,
    streamResetBurst: config.peers.streamResetBurst,
    streamResetRate: config.peers.streamResetsPerSecond,
    settings: {
      enablePush: false,
      initialWindowSize: config.peers.linkWindowBytes,
      maxConcurrentStreams: config.peers.streamsPerSessionMax,
      maxHeaderListSize: config.peers.headerListBytesMax,
    },
  });
  // Connections beyond it are closed as soon as they are accepted; the dialler sees a peer that cannot be reached.
  server.maxConnections = config.peers.inboundSessionsMax;
  server.on('session', onSession);
  // Errors of one session reach its own listener; node repeats them here, and without a listener would throw.
  server.on('sessionError', () => undefined);
  return server;
}

/** Resolves with the port. Throws `port-in-use`, and `usage` for an address that this machine does not have. */
export function listenOn(
  server: Http2Server,
  address: { readonly host: string; readonly port: number },
): Promise<number> {
  const { host, port } = address;
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => reject(listenError(cause, host, port));
    server.once('error', onError);
    server.listen({ host, port }, () => {
      server.off('error', onError);
      // From now on only a failing accept() (no file descriptors left): the peer retries, links that stand go on.
      server.on('error', () => undefined);
      const bound = server.address();
      resolve(typeof bound === 'object' && bound ? bound.port : port);
    });
  });
}

function listenError(cause: Error, host: string, port: number): StarlingError {
  if ('code' in cause && cause.code === 'EADDRINUSE') {
    return new StarlingError('port-in-use', `port ${port} on ${host} is taken by another process`, {
      next: 'choose another port, or 0 for any free one',
      cause,
    });
  }
  return new StarlingError('usage', `cannot listen on ${host} port ${port}: ${cause.message}`, {
    next: 'choose an address of this machine and a port that the user may open',
    cause,
  });
}
