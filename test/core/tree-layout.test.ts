import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FileEntry } from '../../core/manifest.ts';
import { layOutTree, type ScannedFile } from '../../core/tree-layout.ts';
import { scannedTree } from './manifest-arbitrary.ts';

function file(path: string, lengthBytes: number): ScannedFile {
  return { kind: 'file', path, mode: 0o644, lengthBytes };
}

function placesOf(files: readonly ScannedFile[], chunkLengthBytes: number): [string, number, number][] {
  return layOutTree(files, chunkLengthBytes)
    .entries.filter((entry): entry is FileEntry => entry.kind === 'file')
    .map(entry => [entry.path, entry.firstChunk, entry.offsetBytes]);
}

test('large files get chunks of their own and small ones share the rest, back to back', () => {
  const files = [file('a', 3), file('b', 25), file('c', 9), file('d', 0), file('e', 10), file('f', 2)];

  const layout = layOutTree(files, 10);

  expect(placesOf(files, 10)).toEqual([
    ['a', 4, 0],
    ['b', 0, 0],
    ['c', 4, 3],
    ['d', 0, 0],
    ['e', 3, 0],
    ['f', 5, 2],
  ]);
  expect(layout.chunkLengths).toEqual([10, 10, 5, 10, 10, 4]);
  expect(layout.lengthBytes).toBe(49);
});

test('100,000 small files make a handful of chunks', () => {
  const files = Array.from({ length: 100_000 }, (_, index) => file(`f${String(index).padStart(6, '0')}`, 100));

  expect(layOutTree(files, 1024 * 1024).chunkLengths).toHaveLength(10);
});

test('a tree without bytes has no chunks', () => {
  expect(layOutTree([file('a', 0), { kind: 'directory', path: 'b', mode: 0o755 }], 10)).toMatchObject({
    chunkLengths: [],
    lengthBytes: 0,
  });
});

test('more chunks than a manifest may hold are refused', () => {
  expect(() => layOutTree([file('a', 1_000_001)], 1)).toThrow(expect.objectContaining({ code: 'usage' }));
  expect(layOutTree([file('a', 1_000_000)], 1).chunkLengths).toHaveLength(1_000_000);
});

test('files tile the chunks without gap or overlap, and a large file shares none', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(1, 5, 64).chain(length => fc.tuple(fc.constant(length), scannedTree(length))),
      ([chunkLengthBytes, scanned]) => {
        const { entries, chunkLengths, lengthBytes } = layOutTree(scanned, chunkLengthBytes);
        const owners = chunkLengths.map(length => new Array<string | undefined>(length).fill(undefined));
        for (const entry of entries) {
          if (entry.kind !== 'file') continue;
          let chunk = entry.firstChunk;
          let offset = entry.offsetBytes;
          for (let left = entry.lengthBytes; left > 0; left -= 1) {
            if (offset === owners[chunk]?.length) {
              chunk += 1;
              offset = 0;
            }
            expect(owners[chunk]?.[offset]).toBeUndefined();
            (owners[chunk] as string[])[offset] = entry.path;
            offset += 1;
          }
          if (entry.lengthBytes >= chunkLengthBytes) {
            expect(entry.offsetBytes).toBe(0);
            expect(new Set(owners[chunk])).toEqual(new Set([entry.path]));
          }
        }
        expect(owners.flat()).not.toContain(undefined);
        expect(owners.flat()).toHaveLength(lengthBytes);
      },
    ),
  );
});
