import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entry, Manifest } from '../../core/manifest.ts';
import { canonicalManifestJson, parseManifest } from '../../core/manifest-json.ts';
import { anyManifest, manifestOf } from './manifest-arbitrary.ts';

const invalid = expect.objectContaining({ code: 'invalid-manifest' });

test('every manifest is read back as it was written, and written again as it was', () => {
  fc.assert(
    fc.property(anyManifest, manifest => {
      const text = canonicalManifestJson(manifest);
      expect(parseManifest(text)).toEqual(manifest);
      expect(canonicalManifestJson(parseManifest(text))).toBe(text);
    }),
  );
});

test('the canonical text does not depend on the order of fields, nor on fields that do not belong', () => {
  const manifest = manifestOf([{ kind: 'file', path: 'a', mode: 0o644, lengthBytes: 3 }], 2);
  const shuffled = Object.fromEntries(Object.entries(manifest).reverse()) as Manifest;
  const entries = shuffled.entries.map(entry => ({ extra: 1, ...Object.fromEntries(Object.entries(entry).reverse()) }));

  expect(canonicalManifestJson({ ...shuffled, entries: entries as unknown as Entry[] })).toBe(
    canonicalManifestJson(manifest),
  );
  expect(canonicalManifestJson(manifest)).not.toMatch(/\s/);
});

test('one changed number is never accepted as the same job', () => {
  const manifest = manifestOf(
    [
      { kind: 'file', path: 'a', mode: 0o644, lengthBytes: 25 },
      { kind: 'file', path: 'b', mode: 0o644, lengthBytes: 3 },
      { kind: 'file', path: 'c', mode: 0o644, lengthBytes: 9 },
    ],
    10,
  );
  const text = canonicalManifestJson(manifest);
  for (const match of text.matchAll(/"(lengthBytes|firstChunk|offsetBytes|chunkLengthBytes)":(\d+)/g)) {
    const at = match.index + match[0].length - (match[2] ?? '').length;
    for (const other of [Number(match[2]) + 1, Number(match[2]) - 1, -1, 0.5, 2 ** 53]) {
      const changed = text.slice(0, at) + other + text.slice(at + (match[2] ?? '').length);
      expect(() => parseManifest(changed), changed).toThrow(invalid);
    }
  }
});

describe('a manifest is refused', () => {
  const good = manifestOf(
    [
      { kind: 'directory', path: 'd', mode: 0o755 },
      { kind: 'file', path: 'd/large', mode: 0o644, lengthBytes: 25 },
      { kind: 'file', path: 'empty', mode: 0o644, lengthBytes: 0 },
      { kind: 'symlink', path: 'link', target: 'd/large' },
      { kind: 'file', path: 'small', mode: 0o644, lengthBytes: 4 },
    ],
    10,
  );
  function withEntry(path: string, change: Record<string, unknown>): unknown {
    return { ...good, entries: good.entries.map(entry => (entry.path === path ? { ...entry, ...change } : entry)) };
  }
  const chunk = { sha256: '0'.repeat(64), lengthBytes: 4 };

  test.each<[string, unknown, RegExp]>([
    ['that is not JSON', '{"format":', /not JSON/],
    ['that is no object', 'null', /the whole/],
    ['of another format', { ...good, format: 'starling-manifest/2' }, /format/],
    ['with an unknown field', { ...good, more: 1 }, /more/],
    ['with an unusable job id', { ...good, job: '../x' }, /job/],
    ['with another total', { ...good, lengthBytes: 30 }, /lengthBytes is 30/],
    ['with a chunk too many', { ...good, lengthBytes: 33, chunks: [...good.chunks, chunk] }, /files have 29/],
    ['with a chunk too few', { ...good, lengthBytes: 25, chunks: good.chunks.slice(0, 3) }, /small/],
    ['with a chunk without bytes', { ...good, chunks: [...good.chunks, { ...chunk, lengthBytes: 0 }] }, /chunks\.4/],
    [
      'with a digest in capitals',
      { ...good, chunks: good.chunks.map(c => ({ ...c, sha256: 'A'.repeat(64) })) },
      /chunks\.0/,
    ],
    ['with a chunk longer than the nominal', { ...good, chunkLengthBytes: 9 }, /chunk 0/],
    ['with a nominal length beyond all sense', { ...good, chunkLengthBytes: 2 ** 40 }, /chunkLengthBytes/],
    ['with a short chunk inside a file', { ...good, chunkLengthBytes: 11 }, /chunk 0 is shorter/],
    ['with setuid', withEntry('small', { mode: 0o4755 }), /mode.*small/],
    ['with a file in the wrong chunk', withEntry('small', { firstChunk: 2 }), /small/],
    ['with a file beyond the chunks', withEntry('small', { firstChunk: 7 }), /small/],
    ['with files that overlap', withEntry('small', { firstChunk: 0, offsetBytes: 3 }), /small/],
    ['with a gap', withEntry('small', { offsetBytes: 1, lengthBytes: 3 }), /small/],
    ['with an empty file that has a place', withEntry('empty', { firstChunk: 1 }), /empty/],
    ['with a file without a kind', withEntry('small', { kind: 'socket' }), /small/],
    ['whose key is absolute', { ...good, source: { key: '/etc/passwd' } }, /absolute/],
    ['whose key climbs', { ...good, source: { key: 'jobs/../../x' } }, /"\.\."/],
    ['whose key holds a line break', { ...good, source: { key: 'a\r\nb' } }, /key/],
    ['of a single file with two entries', { ...good, root: 'file' }, /root/],
  ])('%s', (_, json, message) => {
    expect(() => parseManifest(json)).toThrow(message);
    expect(() => parseManifest(json)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(invalid-manifest|unsafe-path)$/) }),
    );
  });

  test.each([
    ['that climbs', withEntry('d/large', { path: '../large' })],
    ['that is absolute', withEntry('d/large', { path: '/large' })],
    [
      'below a symlink',
      { ...good, entries: [...good.entries.slice(0, 4), { ...good.entries[4], path: 'link/small' }] },
    ],
    ['of a symlink out of the tree', withEntry('link', { target: '../../etc' })],
  ])('with a path %s, as unsafe', (_, json) => {
    expect(() => parseManifest(json)).toThrow(expect.objectContaining({ code: 'unsafe-path' }));
  });

  test('in which a large file shares its last chunk', () => {
    const entries = [
      { kind: 'file', path: 'a', mode: 0o644, lengthBytes: 15, firstChunk: 0, offsetBytes: 0 },
      { kind: 'file', path: 'b', mode: 0o644, lengthBytes: 5, firstChunk: 1, offsetBytes: 5 },
    ];
    const chunks = [10, 10].map(lengthBytes => ({ ...chunk, lengthBytes }));

    expect(() => parseManifest({ ...good, entries, chunks, lengthBytes: 20 })).toThrow(/shares one/);
  });
});

test('whatever JSON comes, the answer is a manifest or one of the two errors', () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.string()), json => {
      try {
        parseManifest(json);
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^(invalid-manifest|unsafe-path)$/) });
      }
    }),
  );
});
