import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { manifestBytes, manifestDigest } from '../../agent/manifest-digest.ts';
import { peerToken } from '../../agent/peer-token.ts';
import { canonicalManifestJson, parseManifest } from '../../core/manifest-json.ts';
import { anyManifest, manifestOf } from '../core/manifest-arbitrary.ts';

const small = manifestOf([{ kind: 'file', path: 'снег', mode: 0o644, lengthBytes: 3 }], 2);

test('the digest is that of the canonical JSON in UTF-8', () => {
  const bytes = manifestBytes(small);

  expect(Buffer.from(bytes).toString('utf8')).toBe(canonicalManifestJson(small));
  expect(manifestDigest(bytes)).toBe(createHash('sha256').update(canonicalManifestJson(small), 'utf8').digest('hex'));
});

test('a manifest that was written otherwise has the same digest once it is read', () => {
  fc.assert(
    fc.property(anyManifest, manifest => {
      const loose = JSON.stringify(manifest, undefined, 2);
      expect(manifestDigest(manifestBytes(parseManifest(loose)))).toBe(manifestDigest(manifestBytes(manifest)));
    }),
  );
});

test('the peer token depends on every byte of the manifest', () => {
  const bytes = manifestBytes(small);
  const other = manifestBytes({ ...small, source: { key: 'jobs/job-1/data-0000000000000000' } });

  expect(peerToken(bytes)).toMatch(/^[0-9a-f]{64}$/);
  expect(peerToken(bytes)).toBe(peerToken(bytes.slice()));
  expect(peerToken(bytes)).not.toBe(peerToken(other));
});

test('the peer token cannot be made from the digest: HMAC keyed with the manifest could', () => {
  const bytes = manifestBytes(small);
  const label = 'starling peer token v1';
  const digest = Buffer.from(manifestDigest(bytes), 'hex');
  const fromDigest = createHmac('sha256', digest).update(label).digest('hex');

  expect(createHmac('sha256', bytes).update(label).digest('hex')).toBe(fromDigest);
  expect(peerToken(bytes)).not.toBe(fromDigest);
  expect(peerToken(bytes)).not.toBe(createHmac('sha256', label).update(digest).digest('hex'));
});
