import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LineReader } from '../../../agent/peers/line-reader.ts';
import { assert } from '../../../core/assert.ts';

describe('a line reader', () => {
  test('gives the same lines however the bytes are cut', () => {
    const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 40 }).map(text => text.replaceAll('\n', ' ')));
    fc.assert(
      fc.property(texts, fc.infiniteStream(fc.integer({ min: 1, max: 30 })), (lines, lengths) => {
        const bytes = Buffer.from(lines.map(line => `${line}\n`).join(''));
        const reader = new LineReader(400);
        const read: string[] = [];

        for (let start = 0; start < bytes.length; ) {
          const { value: length } = lengths.next();
          const pushed = reader.push(bytes.subarray(start, start + length));
          assert(pushed !== 'too-long', 'all lines fit');
          read.push(...pushed);
          start += length;
        }

        expect(read).toEqual(lines);
      }),
    );
  });

  test.each([
    ['x'.repeat(8), []],
    ['x'.repeat(9), 'too-long'],
    [`${'x'.repeat(8)}\n`, ['xxxxxxxx']],
    [`${'x'.repeat(9)}\n`, 'too-long'],
    [`x\n${'x'.repeat(9)}`, 'too-long'],
  ])('with room for 8 bytes makes of %j %j', (text, expected) => {
    expect(new LineReader(8).push(Buffer.from(text))).toEqual(expected);
  });

  test('finds a line too long when it came in pieces', () => {
    const reader = new LineReader(8);

    expect(reader.push(Buffer.from('xxxxx'))).toEqual([]);
    expect(reader.push(Buffer.from('xxxx'))).toBe('too-long');
  });

  test('keeps nothing of the buffers it was given', () => {
    const reader = new LineReader(8);
    const slice = Buffer.from('abc');
    reader.push(slice);
    slice.fill('z');

    expect(reader.push(Buffer.from('\n'))).toEqual(['abc']);
  });
});
