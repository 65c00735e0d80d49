import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { type HashJob, hashSpans } from '../../../agent/disk/hash-pool.ts';
import type { FileSpan, HashOutcome } from '../../../agent/disk/span-hasher.ts';
import { config } from '../../../core/config.ts';
import { someBytes } from './job-tree.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** Lengths that decide where it is hashed: in this thread, or in threads of their own. */
const HERE = { lengthBytes: 1, fileCount: 1 };
const IN_THREADS = { lengthBytes: config.disk.hashInlineBytesMax + 1, fileCount: 1 };

async function hashAll(
  tasks: readonly (readonly FileSpan[])[],
  where: Pick<HashJob, 'lengthBytes' | 'fileCount'>,
  more: Partial<HashJob> = {},
): Promise<HashOutcome[]> {
  const outcomes = new Map<number, HashOutcome>();
  const onHashed = (index: number, outcome: HashOutcome): void => {
    expect(outcomes.has(index)).toBe(false);
    outcomes.set(index, outcome);
  };
  await hashSpans({ tasks, onHashed, ...where, ...more });
  return [...outcomes].sort(([a], [b]) => a - b).map(([, outcome]) => outcome);
}

test.each([
  ['in this thread', HERE],
  ['in threads', IN_THREADS],
])('spans of several files are hashed as if they were one, %s', async (_, where) => {
  const directory = await temporaryDirectory();
  const contents = [someBytes(3_000_000, 1), someBytes(10, 2), someBytes(70_000, 3)];
  const paths = contents.map((_, index) => join(directory, `f${index}`));
  for (const [index, bytes] of contents.entries()) await writeFile(paths[index] ?? '', bytes);
  const span = (file: number, offsetBytes: number, lengthBytes: number): FileSpan => ({
    path: paths[file] ?? '',
    offsetBytes,
    lengthBytes,
  });
  const tasks = [
    [span(0, 0, 3_000_000)],
    [span(0, 2_999_999, 1), span(1, 0, 10), span(2, 5, 60_000)],
    [span(1, 3, 4)],
    [],
    ...Array.from({ length: 30 }, (_, index) => [span(0, index * 100_000, 100_000)]),
  ];

  const outcomes = await hashAll(tasks, where);

  const expected = tasks.map(spans => {
    const hash = createHash('sha256');
    for (const { path, offsetBytes, lengthBytes } of spans) {
      hash.update(contents[paths.indexOf(path)]?.subarray(offsetBytes, offsetBytes + lengthBytes) ?? '');
    }
    return { kind: 'hashed', sha256: hash.digest('hex') };
  });
  expect(outcomes).toEqual(expected);
});

test.each([
  ['in this thread', HERE],
  ['in threads', IN_THREADS],
])('what cannot be read is an outcome that names the span, %s', async (_, where) => {
  const directory = await temporaryDirectory();
  const path = join(directory, 'f');
  await writeFile(path, someBytes(100, 1));
  await symlink('f', join(directory, 'link'));
  execFileSync('mkfifo', [join(directory, 'pipe')]);
  const whole = { path, offsetBytes: 0, lengthBytes: 100 };

  const outcomes = await hashAll(
    [
      [whole, { ...whole, offsetBytes: 50, lengthBytes: 51 }],
      [whole, { ...whole, path: join(directory, 'missing') }],
      [{ ...whole, path: join(directory, 'link') }],
      [{ ...whole, path: directory }],
      [whole, whole, { ...whole, path: join(directory, 'pipe') }],
      [whole],
    ],
    where,
  );

  expect(outcomes).toMatchObject([
    { kind: 'short', span: 1 },
    { kind: 'unreadable', span: 1, errno: 'ENOENT' },
    { kind: 'unreadable', span: 0, errno: 'ELOOP' },
    { kind: 'unreadable', span: 0, errno: 'EISDIR' },
    { kind: expect.stringMatching(/^(unreadable|short)$/), span: 2 },
    { kind: 'hashed' },
  ]);
});

test.each([
  ['in this thread', HERE],
  ['in threads', IN_THREADS],
])('an abort ends it with its reason, and so does a failing listener, %s', async (_, where) => {
  const path = join(await temporaryDirectory(), 'f');
  await writeFile(path, someBytes(1_000_000, 1));
  const endless = function* (): Generator<readonly FileSpan[]> {
    for (;;) yield [{ path, offsetBytes: 0, lengthBytes: 1_000_000 }];
  };
  const controller = new AbortController();
  const aborted = hashSpans({
    tasks: endless(),
    ...where,
    signal: controller.signal,
    onHashed: index => {
      if (index === 3) controller.abort(new Error('enough'));
    },
  });
  await expect(aborted).rejects.toThrow('enough');

  const failed = hashSpans({
    tasks: endless(),
    ...where,
    onHashed: () => {
      throw new Error('of the listener');
    },
  });
  await expect(failed).rejects.toThrow('of the listener');
});

test('nothing to hash is done at once', async () => {
  expect(await hashAll([], IN_THREADS)).toEqual([]);
});

test('in a bundle the worker is found beside it', async () => {
  const directory = await temporaryDirectory();
  const source = join(import.meta.dirname, '../../../agent/disk');
  const bundle = join(directory, 'bundle');
  const common = { bundle: true, platform: 'node', format: 'esm', target: 'node20', logLevel: 'silent' } as const;
  await build({ ...common, entryPoints: [join(source, 'hash-pool.ts')], outfile: join(bundle, 'agent.js') });
  await build({ ...common, entryPoints: [join(source, 'hash-worker.ts')], outfile: join(bundle, 'hash-worker.js') });
  await writeFile(join(bundle, 'package.json'), '{"type":"module"}');
  await writeFile(join(directory, 'f'), someBytes(50_000, 1));
  await writeFile(
    join(directory, 'run.mjs'),
    `import { hashSpans } from ${JSON.stringify(pathToFileURL(join(bundle, 'agent.js')).href)};
     const spans = [{ path: ${JSON.stringify(join(directory, 'f'))}, offsetBytes: 0, lengthBytes: 50000 }];
     await hashSpans({
       tasks: [spans], lengthBytes: 2 ** 40, fileCount: 1,
       onHashed: (index, outcome) => console.log(outcome.sha256),
     });`,
  );

  const printed = execFileSync(process.execPath, [join(directory, 'run.mjs')], { encoding: 'utf8' });

  expect(printed.trim()).toBe(createHash('sha256').update(someBytes(50_000, 1)).digest('hex'));
});
