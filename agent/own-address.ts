import { connect } from 'node:net';

/** Milliseconds to find out; the tracker itself is tried for longer. *guess* */
const PROBE_TIMEOUT_MS = 3000;

/**
 * The address of this machine as others on the way to `url` see it: the local end of a connection there. No packet
 * of ours is needed beyond the handshake. `undefined` if nobody answers; the tracker then takes the address that the
 * announce comes from.
 */
export function ownAddressTowards(url: URL): Promise<string | undefined> {
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  return new Promise(resolve => {
    const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port, timeout: PROBE_TIMEOUT_MS });
    const end = (address: string | undefined): void => {
      socket.destroy();
      resolve(address?.replace(/^::ffff:/, ''));
    };
    socket.once('connect', () => end(socket.localAddress));
    socket.once('timeout', () => end(undefined));
    // Unreachable now: the announces will say so, again and again, with their own words.
    socket.once('error', () => end(undefined));
  });
}
