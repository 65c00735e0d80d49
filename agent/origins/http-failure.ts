import * as z from 'zod/mini';
import { config } from '../../core/config.ts';
import { type ErrorCode, StarlingError } from '../../core/errors.ts';
import type { Millis } from '../../core/ids.ts';
import { errorCode } from './file-failure.ts';

export type HttpHeaders = { readonly [name: string]: string | readonly string[] | undefined };

/** What a server says when it could not do it; `detail` is the text of its answer. */
export type Refusal = { readonly status: number; readonly headers: HttpHeaders; readonly detail: string };

const answerShape = z.object({ error: z.object({ message: z.string(), next: z.optional(z.string()) }) });

/** Too busy, restarting, or a proxy that lost its server. 501 and 507 are answers that stay. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);
/** Said by undici and node of a request that we should not have made. */
const DEFECTS = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_CLOSED', 'UND_ERR_DESTROYED', 'ERR_INVALID_ARG_TYPE']);
/** Certificates do not mend by themselves. */
const CERTIFICATE = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_|ERR_SSL_)/;

export function isPassing(status: number): boolean {
  return PASSING.has(status);
}

/** From seconds or a date; a negative, unreadable or missing one is `undefined`, a long one is cut. */
export function retryAfterMs(headers: HttpHeaders, now: Millis): Millis | undefined {
  const text = headers['retry-after'];
  if (typeof text !== 'string') return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  if (Number.isNaN(ms) || ms < 0) return undefined;
  return Math.min(ms, config.originRequest.retryAfterMsMax);
}

/** Why a server did not do `what`, for people. */
export function refusalFailure(what: string, refusal: Refusal): StarlingError {
  const said = parseDetail(refusal.detail);
  const message = `${what}: the server answered ${refusal.status}${said.message === '' ? '' : ` (${said.message})`}`;
  const { code, next } = meaningOf(refusal.status);
  return new StarlingError(code, message, { next: said.next ?? next });
}

/** A connection that failed: not made, cut, or silent. */
export function connectionFailure(what: string, cause: unknown): StarlingError {
  const code = errorCode(cause) ?? '';
  if (CERTIFICATE.test(code)) {
    return new StarlingError('origin-refused', `${what}: the server's certificate is not trusted (${code})`, {
      next: 'give this machine the certificate authority with NODE_EXTRA_CA_CERTS, or correct the host name',
      cause,
    });
  }
  const why = code === '' ? String(cause) : code;
  return new StarlingError('origin-unreachable', `${what}: no connection (${why})`, {
    next: 'check the address, that `agent origin` runs there, and that no firewall is between',
    cause,
  });
}

/** Of the system, of TLS or of undici; an error without a code, or about our own arguments, is a defect. */
export function isConnectionFailure(cause: unknown): boolean {
  const code = errorCode(cause);
  return !(cause instanceof StarlingError) && code !== undefined && !DEFECTS.has(code);
}

function meaningOf(status: number): { readonly code: ErrorCode; readonly next: string } {
  if (isPassing(status)) {
    return { code: 'origin-unreachable', next: "try again; if it stays, look at the origin server's log" };
  }
  switch (status) {
    case 401:
    case 403:
      return { code: 'origin-refused', next: "give the origin's token by --token or STARLING_TOKEN" };
    case 404:
      return { code: 'origin-refused', next: 'check the address and that the job was published to this origin' };
    case 507:
      return { code: 'origin-refused', next: 'free space on the disk of the origin server' };
    default:
      return { code: 'origin-refused', next: 'check that the address is that of `agent origin`, of the same version' };
  }
}

/** Our own server explains itself in JSON; a proxy's page says nothing that helps. */
function parseDetail(detail: string): { readonly message: string; readonly next: string | undefined } {
  try {
    const said = answerShape.safeParse(JSON.parse(detail)).data?.error;
    if (said !== undefined) return { message: said.message, next: said.next };
  } catch {
    // SyntaxError: not from our server.
  }
  return { message: '', next: undefined };
}
