import { createHash } from 'node:crypto';
import type { Manifest } from '../core/manifest.ts';
import { canonicalManifestJson } from '../core/manifest-json.ts';

/** The canonical JSON in UTF-8: what lies in the origin, what the digest is of, what the peer token is keyed with. */
export function manifestBytes(manifest: Manifest): Uint8Array {
  return Buffer.from(canonicalManifestJson(manifest), 'utf8');
}

/** The job's digest: SHA-256 of `manifestBytes`, 64 lower-case hex digits. */
export function manifestDigest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
