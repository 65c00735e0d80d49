import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChunkSpans, chunkOffsets } from '../../core/chunk-spans.ts';
import type { Manifest } from '../../core/manifest.ts';
import { anyManifest, manifestOf } from './manifest-arbitrary.ts';

/** The job's bytes the dumb way: one [path, offset in the file] for each, in the order of the origin's object. */
function bytesOf(manifest: Manifest): string[] {
  const bytes: string[] = [];
  const spans = new ChunkSpans(manifest);
  for (const entry of manifest.entries) {
    if (entry.kind !== 'file') continue;
    for (let at = 0; at < entry.lengthBytes; at += 1) bytes[spans.startOf(entry) + at] = `${entry.path}@${at}`;
  }
  return bytes;
}

test('the spans of all chunks tile all files exactly', () => {
  fc.assert(
    fc.property(anyManifest, manifest => {
      const spans = new ChunkSpans(manifest);
      const tiled: string[] = [];
      for (const chunk of manifest.chunks.keys()) {
        let offset = 0;
        for (const span of spans.ofChunk(chunk)) {
          expect(span.chunkOffsetBytes).toBe(offset);
          expect(span.lengthBytes).toBeGreaterThan(0);
          for (let at = 0; at < span.lengthBytes; at += 1) tiled.push(`${span.file.path}@${span.fileOffsetBytes + at}`);
          offset += span.lengthBytes;
        }
        expect(offset).toBe(manifest.chunks[chunk]?.lengthBytes);
      }
      expect(tiled).toEqual(bytesOf(manifest));
    }),
    { numRuns: 50 },
  );
});

test('the spans of a range are those bytes of the chunk', () => {
  fc.assert(
    fc.property(anyManifest, fc.nat(), fc.nat(), fc.nat(), (manifest, a, b, c) => {
      fc.pre(manifest.chunks.length > 0);
      const spans = new ChunkSpans(manifest);
      const chunk = a % manifest.chunks.length;
      const length = spans.lengthOf(chunk);
      const offsetBytes = b % (length + 1);
      const lengthBytes = c % (length - offsetBytes + 1);

      const pieces = spans.within(chunk, { offsetBytes, lengthBytes });

      const start = (spans.offsets[chunk] ?? 0) + offsetBytes;
      const named = pieces.flatMap(({ file, fileOffsetBytes, lengthBytes }) =>
        Array.from({ length: lengthBytes }, (_, at) => `${file.path}@${fileOffsetBytes + at}`),
      );
      expect(named).toEqual(bytesOf(manifest).slice(start, start + lengthBytes));
    }),
    { numRuns: 200 },
  );
});

test('a range beyond the chunk is our own mistake', () => {
  const spans = new ChunkSpans(manifestOf([{ kind: 'file', path: 'a', mode: 0o644, lengthBytes: 15 }], 10));

  expect(() => spans.within(1, { offsetBytes: 0, lengthBytes: 6 })).toThrow('range beyond chunk 1');
  expect(() => spans.ofChunk(2)).toThrow('chunk 3 of 2');
});

test('chunk offsets are the sums of the lengths before', () => {
  expect([...chunkOffsets({ chunks: [5, 5, 2].map(lengthBytes => ({ sha256: '', lengthBytes })) })]).toEqual([
    0, 5, 10, 12,
  ]);
});

test('the chunks of a file are those that its spans lie in', () => {
  fc.assert(
    fc.property(anyManifest, manifest => {
      const spans = new ChunkSpans(manifest);
      for (const entry of manifest.entries) {
        if (entry.kind !== 'file') continue;
        const holding = [...manifest.chunks.keys()].filter(chunk =>
          spans.ofChunk(chunk).some(span => span.file === entry),
        );
        const range = spans.chunksOf(entry);
        expect([range?.first, range?.last]).toEqual([holding[0], holding.at(-1)]);
      }
    }),
    { numRuns: 30 },
  );
});
