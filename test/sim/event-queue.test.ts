import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EventQueue } from '../../sim/event-queue.ts';
import { MomentHeap } from '../../sim/moment-heap.ts';

it('events come by time, and those of one time in the order in which they were pushed', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 3000 }), times => {
      const queue = new EventQueue<{ readonly at: number; readonly index: number }>();
      for (const [index, at] of times.entries()) queue.push(at, { at, index });

      const taken = [];
      for (let event = queue.take(); event !== undefined; event = queue.take()) taken.push(event);

      const expected = times.map((at, index) => ({ at, index })).sort((a, b) => a.at - b.at || a.index - b.index);
      expect(taken).toEqual(expected);
    }),
  );
});

it('events pushed between takes keep the order', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined }), { maxLength: 500 }), steps => {
      const queue = new EventQueue<readonly [number, number]>();
      const twin: (readonly [number, number])[] = [];
      for (const [index, at] of steps.entries()) {
        if (at === undefined) {
          expect(queue.take()).toEqual(twin.shift());
        } else {
          queue.push(at, [at, index]);
          twin.push([at, index]);
          twin.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        }
        expect(queue.size).toBe(twin.length);
        expect(queue.nextAt).toBe(twin[0]?.[0] ?? Number.POSITIVE_INFINITY);
      }
    }),
  );
});

it('the first of many moments is known while they change', () => {
  const change = fc.tuple(
    fc.integer({ min: 0, max: 40 }),
    fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined }),
  );
  fc.assert(
    fc.property(fc.array(change, { maxLength: 500 }), changes => {
      const heap = new MomentHeap();
      const twin = new Map<number, number>();
      for (const [thing, moment] of changes) {
        heap.set(thing, moment ?? Number.POSITIVE_INFINITY);
        if (moment === undefined) twin.delete(thing);
        else twin.set(thing, moment);
        const first = [...twin].sort((a, b) => a[1] - b[1] || a[0] - b[0])[0];
        expect([heap.first, heap.nextAt]).toEqual(first ?? [-1, Number.POSITIVE_INFINITY]);
      }
    }),
  );
});
