import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Manifest } from '../../core/manifest.ts';
import { manifestDifference } from '../../core/manifest-difference.ts';
import { canonicalManifestJson } from '../../core/manifest-json.ts';
import { anyManifest, manifestOf } from './manifest-arbitrary.ts';

const base = manifestOf(
  [
    { kind: 'file', path: 'a', mode: 0o644, lengthBytes: 25 },
    { kind: 'directory', path: 'd', mode: 0o755 },
    { kind: 'symlink', path: 'l', target: 'a' },
  ],
  10,
);

function withEntry(path: string, change: object): Manifest {
  return { ...base, entries: base.entries.map(entry => (entry.path === path ? { ...entry, ...change } : entry)) };
}

test.each<[Manifest, string]>([
  [{ ...base, root: 'file' }, 'it is a directory'],
  [withEntry('l', { target: 'd' }), '"l" points to "a" there'],
  [withEntry('d', { mode: 0o700 }), '"d" has mode 755 there, 700 here'],
  [withEntry('a', { lengthBytes: 24 }), '"a" has 25 bytes there, 24 here'],
  [withEntry('d', { kind: 'file' }), '"d" is a directory there'],
  [{ ...base, entries: base.entries.slice(1) }, 'it has "a" as well'],
  [{ ...base, chunkLengthBytes: 11 }, 'its chunks have 10 bytes, not 11'],
  [
    {
      ...base,
      chunks: base.chunks.map((chunk, index) => (index === 1 ? { ...chunk, sha256: 'f'.repeat(64) } : chunk)),
    },
    'the bytes of "a" differ, or of a file in the same chunk',
  ],
  [{ ...base, source: { key: 'elsewhere' } }, 'its bytes lie under another key'],
])('a difference is told in words %#', (ours, expected) => {
  expect(manifestDifference(base, ours)).toBe(expected);
});

test('manifests of one job differ exactly when their texts do', () => {
  fc.assert(
    fc.property(anyManifest, anyManifest, (a, b) => {
      expect(manifestDifference(a, a)).toBeUndefined();
      expect(manifestDifference(a, b) === undefined).toBe(canonicalManifestJson(a) === canonicalManifestJson(b));
    }),
  );
});
