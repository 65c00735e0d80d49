import { createHmac } from 'node:crypto';

/** Names what the hash is for, so that the same manifest can yield other secrets one day. */
const LABEL = 'starling peer token v1';

/**
 * What agents of one job show each other: HMAC-SHA256 of the manifest's canonical bytes, keyed with the label; 64
 * lower-case hex digits. Whoever may read the manifest in the origin can compute it; whoever only knows the job's digest,
 * which the tracker and its logs hold, cannot.
 *
 * The manifest is the message and not the key: HMAC hashes a key longer than 64 bytes first (RFC 2104, section 2), so a
 * token keyed with the manifest would be one keyed with its SHA-256, and that is the digest.
 */
export function peerToken(manifestBytes: Uint8Array): string {
  return createHmac('sha256', LABEL).update(manifestBytes).digest('hex');
}
