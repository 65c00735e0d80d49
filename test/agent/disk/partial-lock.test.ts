import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { expect, test } from 'vitest';
import { code, freshDest, mixed, open, openPartial, receive, single } from './job-fetch.ts';

test('a second fetch to the same place hears which process is at work there', async () => {
  const dest = await freshDest();
  const first = await openPartial(mixed, dest);

  await expect(open(mixed, dest)).rejects.toMatchObject({
    code: 'destination-locked',
    message: expect.stringContaining(`process ${process.pid} `),
  });

  await receive(first, mixed);
  await first.place();
  expect((await open(mixed, dest)).kind).toBe('complete');
});

test.each([
  ['a dead process', { pid: 2 ** 22 + 1, startedAt: '1', boot: 'x' }],
  ['a process whose pid another one has now', { pid: process.pid, startedAt: '1', boot: 'x' }],
  ['nobody, torn by a power loss', undefined],
])('the lock of %s is taken over', async (_, holder) => {
  const dest = await freshDest();
  const first = await openPartial(mixed, dest);
  await receive(first, mixed, [1]);
  await first.close();
  const lock = join(`${dest}.starling-partial`, 'lock');
  await writeFile(lock, holder === undefined ? '{"pi' : JSON.stringify(holder));

  const second = await openPartial(mixed, dest);

  expect([...second.store.have]).toEqual([1]);
  expect(JSON.parse(await readFile(lock, 'utf8'))).toMatchObject({ pid: process.pid });
});

test('of many that find a dead lock at the same time one gets it', async () => {
  const dest = await freshDest();
  await mkdir(`${dest}.starling-partial`);
  await writeFile(join(`${dest}.starling-partial`, 'lock'), '{}');

  const opened = await Promise.allSettled(Array.from({ length: 8 }, () => open(mixed, dest)));

  const refused = opened.filter(outcome => outcome.status === 'rejected');
  expect(refused).toHaveLength(7);
  for (const outcome of refused) expect(outcome.reason).toEqual(code('destination-locked'));
});

test('a closed fetch leaves no lock, and a refused one leaves nothing', async () => {
  const dest = await freshDest();
  const partial = await openPartial(mixed, dest);
  await partial.close();
  expect(await readdir(`${dest}.starling-partial`)).not.toContain('lock');

  const other = join(dirname(dest), 'other');
  await writeFile(other, 'x');
  await expect(open(single, other)).rejects.toEqual(code('destination-occupied'));
  expect(await readdir(dirname(dest))).toEqual(['dest.starling-partial', 'other']);
});

test('two names of one place share one lock', async () => {
  const dest = await freshDest();
  await symlink('.', join(dirname(dest), 'here'));
  await openPartial(mixed, dest);

  await expect(open(mixed, join(dirname(dest), 'here', 'x', '..', 'dest/'))).rejects.toEqual(
    code('destination-locked'),
  );
});
