import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkSet, lowestBit, popCount } from '../../core/chunk-set.ts';

const shape = fc.integer({ min: 1, max: 200 });
const operations = fc.array(fc.record({ kind: fc.constantFrom('add', 'delete'), at: fc.nat() }), { maxLength: 300 });

describe('ChunkSet', () => {
  it('behaves like a Set of numbers', () => {
    fc.assert(
      fc.property(shape, operations, (chunkCount, steps) => {
        const set = new ChunkSet(chunkCount);
        const twin = new Set<number>();
        for (const { kind, at } of steps) {
          const chunk = at % chunkCount;
          const changed = kind === 'add' ? !twin.has(chunk) : twin.has(chunk);
          expect(kind === 'add' ? set.add(chunk) : set.delete(chunk)).toBe(changed);
          if (kind === 'add') twin.add(chunk);
          else twin.delete(chunk);
        }
        expect([...set]).toEqual([...twin].sort((one, other) => one - other));
        expect(set.size).toBe(twin.size);
        expect(set.isFull).toBe(twin.size === chunkCount);
        expect([...set.missing()]).toEqual([...new Array(chunkCount).keys()].filter(chunk => !twin.has(chunk)));
      }),
    );
  });

  it('comes back from its bytes as it was', () => {
    fc.assert(
      fc.property(shape, fc.array(fc.nat()), (chunkCount, picks) => {
        const set = ChunkSet.of(
          chunkCount,
          picks.map(pick => pick % chunkCount),
        );
        const back = ChunkSet.fromBytes(chunkCount, set.toBytes());
        expect(back?.equals(set)).toBe(true);
        expect(set.toBytes().length).toBe(Math.ceil(chunkCount / 8));
      }),
    );
  });

  it('refuses bytes of another length, and bits beyond the last chunk', () => {
    expect(ChunkSet.fromBytes(10, new Uint8Array(1))).toBeUndefined();
    expect(ChunkSet.fromBytes(10, new Uint8Array(3))).toBeUndefined();
    expect(ChunkSet.fromBytes(10, Uint8Array.of(0, 0b0000_0100))).toBeUndefined();
    expect(ChunkSet.fromBytes(10, Uint8Array.of(0, 0b0000_0010))?.has(9)).toBe(true);
  });

  it('is full with every chunk and no more', () => {
    for (const chunkCount of [0, 1, 31, 32, 33, 64, 1000]) {
      const full = ChunkSet.full(chunkCount);
      expect(full.size).toBe(chunkCount);
      expect([...full].length).toBe(chunkCount);
      expect(full.isFull).toBe(true);
    }
  });

  it('changes a clone without changing the original', () => {
    const set = ChunkSet.of(40, [3, 39]);
    const copy = set.clone();
    copy.add(5);
    expect([...set]).toEqual([3, 39]);
    expect(copy.size).toBe(3);
  });
});

describe('bit counting', () => {
  it('agrees with counting the digits of the binary form', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0xffff_ffff }), word => {
        const digits = word.toString(2);
        expect(popCount(word)).toBe(digits.replaceAll('0', '').length);
        expect(lowestBit(word)).toBe(digits.length - 1 - digits.lastIndexOf('1'));
      }),
    );
  });
});
