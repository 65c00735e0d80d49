import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { LineWriter } from '../../../agent/peers/line-writer.ts';

/** A stream that keeps each write, and says that it was taken only if `takes`. */
function keeping(takes: boolean): { readonly stream: Writable; readonly writes: string[] } {
  const writes: string[] = [];
  const stream = new Writable({
    write(bytes: Buffer, _encoding, done) {
      writes.push(bytes.toString());
      if (takes) done();
    },
  });
  return { stream, writes };
}

const microtasks = () => new Promise(resolve => setImmediate(resolve));

describe('a line writer', () => {
  test('makes one write of what is said in one turn', async () => {
    const { stream, writes } = keeping(true);
    const writer = new LineWriter(100, () => undefined);
    writer.attach(stream);

    writer.say('a\n');
    writer.say('b\n');
    await microtasks();
    writer.say('c\n');
    await microtasks();

    expect(writes).toEqual(['a\nb\n', 'c\n']);
  });

  test('drops what is said before there is a stream, and moves to a new one without loss', async () => {
    const [first, second] = [keeping(true), keeping(true)];
    const writer = new LineWriter(100, () => undefined);

    writer.say('early\n');
    writer.attach(first.stream);
    writer.say('a\n');
    writer.attach(second.stream);
    writer.say('b\n');
    await microtasks();

    expect([first.writes, second.writes]).toEqual([['a\n'], ['b\n']]);
  });

  test('overflows once, when more than its maximum waits, and says nothing more', async () => {
    const { stream, writes } = keeping(false);
    let overflows = 0;
    const writer = new LineWriter(10, () => {
      overflows += 1;
    });
    writer.attach(stream);

    writer.say('12345678\n');
    await microtasks();
    const before = overflows;
    writer.say('\n');
    await microtasks();
    const atLimit = overflows;
    writer.say('\n');
    writer.say('\n');
    await microtasks();

    expect([before, atLimit, overflows]).toEqual([0, 0, 1]);
    expect(writes.join('')).not.toContain('\n\n\n');
  });
});
