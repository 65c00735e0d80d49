import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { eachLimited } from '../../../agent/disk/each-limited.ts';
import { config } from '../../../core/config.ts';

test('every item is done once, never more at one time than configured, and none is drawn too early', async () => {
  const { fileOperationsMax } = config.disk;
  const done: number[] = [];
  let drawn = 0;
  let running = 0;
  const items = function* (): Generator<number> {
    for (; drawn < 200; drawn += 1) yield drawn;
  };

  await eachLimited(items(), async item => {
    running += 1;
    expect(running).toBeLessThanOrEqual(fileOperationsMax);
    expect(drawn - done.length).toBeLessThanOrEqual(fileOperationsMax);
    await setImmediate();
    running -= 1;
    done.push(item);
  });

  expect(done.sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, index) => index));
});

test('after a failure nothing is begun, and nothing is under way any more', async () => {
  const { fileOperationsMax } = config.disk;
  let begun = 0;
  let running = 0;
  const all = eachLimited(Array.from({ length: 1000 }).keys(), async item => {
    begun += 1;
    running += 1;
    await setImmediate();
    running -= 1;
    if (item >= 3) throw new Error(`item ${item}`);
  });

  await expect(all).rejects.toThrow('item 3');
  expect(running).toBe(0);
  expect(begun).toBeLessThanOrEqual(fileOperationsMax + 4);
});
