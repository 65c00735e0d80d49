import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { CHUNK_BYTES, fetchArgs, sharedOrigin, World } from './agents.ts';
import { sampleBytes } from './trees.ts';

const origin = sharedOrigin();

test('a job that nobody published is unknown', async () => {
  const world = await World.open(onTestFinished);

  const ended = await world.run(fetchArgs(world.path('copy'), 'never', origin().url));

  expect(ended.exitCode).toBe(1);
  expect(ended.last('error')).toMatchObject({ code: 'unknown-job', exitCode: 1 });
  expect(ended.last('error')).toMatchObject({
    message: expect.stringContaining('job never'),
    next: expect.stringContaining('agent publish'),
  });
  expect(existsSync(world.path('copy.starling-partial'))).toBe(false);
});

test.each([
  ['fetch', '../etc'],
  ['publish', 'a/../../b'],
  ['status', '..'],
])('%s refuses the job id %s', async (command, job) => {
  const world = await World.open(onTestFinished);
  await writeFile(world.path('file'), 'x');
  const what: Record<string, readonly string[]> = {
    fetch: ['--dest', world.path('copy')],
    publish: [world.path('file')],
  };

  const ended = await world.run([command, ...(what[command] ?? []), '--job', job, '--origin', origin().url]);

  expect(ended.exitCode).toBe(2);
  expect(ended.last('error')).toMatchObject({ code: 'invalid-job-id', exitCode: 2 });
  expect(ended.last('error').message).toContain(JSON.stringify(job));
});

type Manifest = Readonly<Record<string, unknown>>;

const BYTES = sampleBytes(2 * CHUNK_BYTES, 7);
const chunks = [0, 1].map(index => ({
  sha256: createHash('sha256')
    .update(BYTES.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES))
    .digest('hex'),
  lengthBytes: CHUNK_BYTES,
}));

function file(path: string, chunk: number, chunkCount: number): object {
  return { kind: 'file', path, mode: 0o644, lengthBytes: chunkCount * CHUNK_BYTES, firstChunk: chunk, offsetBytes: 0 };
}

/** A good manifest of two files, a chunk each. */
function manifestOf(job: string): Manifest {
  return {
    format: 'starling-manifest/1',
    job,
    root: 'directory',
    chunkLengthBytes: CHUNK_BYTES,
    lengthBytes: 2 * CHUNK_BYTES,
    chunks,
    entries: [file('a', 0, 1), file('b', 1, 1)],
    source: { key: `jobs/${job}/data-0123456789abcdef` },
  };
}

const [HUGE, TIB] = [2 ** 53 - 1, 2 ** 40];

test.each<[what: string, change: Manifest, code: string, says: string]>([
  ['a path that climbs', { entries: [file('../a', 0, 1), file('b', 1, 1)] }, 'unsafe-path', '"../a"'],
  ['an absolute path', { entries: [file('/etc/cron.d/a', 0, 1), file('b', 1, 1)] }, 'unsafe-path', 'is absolute'],
  ['a path twice', { entries: [file('a', 0, 1), file('a', 1, 1)] }, 'invalid-manifest', '"a" stands twice'],
  [
    'a file through a symlink',
    { entries: [{ kind: 'symlink', path: 'a', target: 'b' }, file('a/c', 0, 1), file('b', 1, 1)] },
    'unsafe-path',
    'below the symlink',
  ],
  [
    'a symlink that leads out',
    { entries: [{ kind: 'symlink', path: '0', target: '../../etc' }, file('a', 0, 1), file('b', 1, 1)] },
    'unsafe-path',
    'leads out of the tree',
  ],
  ['a file as large as numbers get', { lengthBytes: HUGE }, 'invalid-manifest', String(HUGE)],
  [
    'a chunk of a TiB',
    { chunks: [{ ...chunks[0], lengthBytes: TIB }, chunks[1]] },
    'invalid-manifest',
    'chunks.0.lengthBytes',
  ],
  ['files that overlap', { entries: [file('a', 0, 2), file('b', 1, 1)] }, 'invalid-manifest', '"b"'],
  ['a hash that is none', { chunks: [{ ...chunks[0], sha256: 'xyz' }, chunks[1]] }, 'invalid-manifest', 'sha256'],
  ['a key that climbs', { source: { key: '../../secret' } }, 'unsafe-path', '../../secret'],
  ['the id of another job', { job: 'other' }, 'invalid-manifest', 'job other'],
])('a manifest with %s is refused, and leaves no trace', async (what, change, code, says) => {
  const world = await World.open(onTestFinished);
  const job = what.replaceAll(' ', '-');
  await plant(job, JSON.stringify({ ...manifestOf(job), ...change }));
  await mkdir(world.path('home'));

  const ended = await world.run(fetchArgs(world.path('home', 'copy'), job, origin().url));

  expect(ended.exitCode).toBe(4);
  expect(ended.last('error')).toMatchObject({ code, exitCode: 4, message: expect.stringContaining(says) });
  expect(await readdir(world.path('home'))).toEqual([]);
});

test('what is no manifest at all is refused', async () => {
  const world = await World.open(onTestFinished);
  await plant('torn', JSON.stringify(manifestOf('torn')).slice(0, -10));

  const ended = await world.run(fetchArgs(world.path('copy'), 'torn', origin().url));

  expect(ended.exitCode).toBe(4);
  expect(ended.last('error')).toMatchObject({ code: 'invalid-manifest', message: expect.stringContaining('not JSON') });
});

test('a manifest whose hashes are of other bytes ends every agent, with the chunk', async () => {
  const world = await World.open(onTestFinished);
  const wrong = { ...chunks[1], sha256: '0'.repeat(64) };
  await plant('wrong-hash', JSON.stringify({ ...manifestOf('wrong-hash'), chunks: [chunks[0], wrong] }));

  const agents = [
    await world.fetch('a', 'wrong-hash', origin().url),
    await world.fetch('b', 'wrong-hash', origin().url),
  ];
  const ends = await Promise.all(agents.map(agent => agent.ended()));

  expect(ends.map(end => end.exitCode)).toEqual([4, 4]);
  for (const end of ends) {
    expect(end.last('error')).toMatchObject({ code: 'origin-corrupt', message: expect.stringContaining('chunk 1') });
  }
  expect(existsSync(world.copy('a'))).toBe(false);
});

test('a port that is taken is named by origin and by fetch', async () => {
  const world = await World.open(onTestFinished);
  const sample = await world.publishSample(origin(), 'port', 2);
  const { port } = origin();
  const taken = await takenPort(world);

  const second = await world.run(['origin', '--data', world.path('other'), '--port', `${port}`]);
  const listening = ['--listen', '127.0.0.1', '--port', `${taken}`];
  const fetch = await (await world.fetch('a', sample.job, origin().url, listening)).ended();

  expect(second.exitCode).toBe(1);
  expect(second.last('error')).toMatchObject({ code: 'port-in-use', next: expect.stringContaining('--port') });
  expect(second.last('error').message).toContain(`${port}`);
  expect(fetch.exitCode).toBe(1);
  expect(fetch.last('error')).toMatchObject({ code: 'port-in-use', message: expect.stringContaining(`${taken}`) });
});

/** Puts a job into the origin's directory by hand; all that is planted shares the bytes of `BYTES`. */
async function plant(job: string, manifest: string): Promise<void> {
  const directory = join(origin().dataDir, 'jobs', job);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'data-0123456789abcdef'), BYTES);
  await writeFile(join(directory, 'manifest.json'), manifest);
}

async function takenPort(world: World): Promise<number> {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  world.onEnd(() => new Promise(resolve => server.close(resolve)));
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}
