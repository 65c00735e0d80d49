import { constants, type Http2Session } from 'node:http2';
import type { DisconnectReason } from '../../core/agent-input.ts';
import { unreachable } from '../../core/assert.ts';
import type { Millis } from '../../core/ids.ts';

/** Says goodbye (GOAWAY) and resolves when the session is gone: when the peer has closed it too, or after `graceMs`. */
export function endSession(session: Http2Session, graceMs: Millis): Promise<void> {
  return new Promise(resolve => {
    if (session.destroyed) return resolve();
    const timer = setTimeout(() => session.destroy(), graceMs);
    session.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    if (session.connecting) session.destroy();
    else session.close();
  });
}

export function sessionClosed(session: Http2Session): Promise<void> {
  return new Promise(resolve => {
    if (session.destroyed) resolve();
    else session.once('close', resolve);
  });
}

/** At once; the peer hears the code if the network takes it. */
export function destroySession(session: Http2Session, errorCode: number): void {
  if (session.destroyed) return;
  // Without an error node sends NO_ERROR, whatever the code.
  if (errorCode === constants.NGHTTP2_NO_ERROR) session.destroy();
  else session.destroy(new Error(`link ended with code ${errorCode}`), errorCode);
}

/** What the GOAWAY of a session tells the peer about why we end the link: it hears `closed` for NO_ERROR, else `broken`. */
export function errorCodeOf(reason: DisconnectReason): number {
  switch (reason) {
    case 'closed':
    case 'refused':
    case 'unreachable':
      return constants.NGHTTP2_NO_ERROR;
    case 'broken':
      return constants.NGHTTP2_CANCEL;
    case 'protocol':
      return constants.NGHTTP2_PROTOCOL_ERROR;
    default:
      return unreachable(reason);
  }
}

/** What it means for a link that one of its sessions got this GOAWAY. */
export function reasonOfGoaway(code: number): DisconnectReason {
  return code === constants.NGHTTP2_NO_ERROR ? 'closed' : 'broken';
}

/** Why a session with this error is no more, if it did not say goodbye. */
export function reasonOfError(error: Error): DisconnectReason {
  // What nghttp2 found in the peer's frames; errors of the socket and codes that the peer sent have other names.
  return 'code' in error && error.code === 'ERR_HTTP2_ERROR' ? 'protocol' : 'broken';
}
