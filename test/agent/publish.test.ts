import { chmod, mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDestination } from '../../agent/disk/destination.ts';
import { verifyTree } from '../../agent/disk/verify-tree.ts';
import { manifestBytes, manifestDigest } from '../../agent/manifest-digest.ts';
import { FileOrigin } from '../../agent/origins/file-origin.ts';
import type { ByteRange, LargeUpload, Origin } from '../../agent/origins/origin.ts';
import { type PublishProgress, publish } from '../../agent/publish.ts';
import { assert } from '../../core/assert.ts';
import { chunkOffsets } from '../../core/chunk-spans.ts';
import { parseJobId } from '../../core/ids.ts';
import { manifestKey } from '../../core/job-key.ts';
import type { Manifest } from '../../core/manifest.ts';
import { parseManifest } from '../../core/manifest-json.ts';
import { someBytes } from './disk/job-tree.ts';
import { temporaryDirectory } from './disk/temporary-directory.ts';

const MiB = 1024 * 1024;
const job = parseJobId('models-7');

type Place = { readonly source: string; readonly origin: FileOrigin; readonly originPath: string };

async function place(): Promise<Place> {
  const directory = await temporaryDirectory();
  const source = join(directory, 'source');
  const originPath = join(directory, 'origin');
  await mkdir(source);
  await mkdir(originPath);
  return { source, origin: new FileOrigin(originPath), originPath };
}

/** A little of everything, 5 MiB in all. */
async function fill(source: string): Promise<void> {
  await mkdir(join(source, 'sub/empty'), { recursive: true });
  await writeFile(join(source, 'large.bin'), someBytes(4 * MiB + 123, 1));
  await writeFile(join(source, 'sub/run me.sh'), someBytes(300, 2));
  await chmod(join(source, 'sub/run me.sh'), 0o755);
  await writeFile(join(source, 'снег'), someBytes(MiB - 1, 3));
  await writeFile(join(source, 'nothing'), '');
  await symlink('large.bin', join(source, 'latest'));
}

/** An origin that lets something happen while it takes the job's bytes. */
function meddled(origin: Origin, meddle: (range: ByteRange) => Promise<void>): Origin {
  return {
    url: origin.url,
    readObject: origin.readObject.bind(origin),
    readRange: origin.readRange.bind(origin),
    writeObjectIfAbsent: origin.writeObjectIfAbsent.bind(origin),
    hasObject: origin.hasObject.bind(origin),
    close: origin.close.bind(origin),
    writeLargeObject: (key: string, upload: LargeUpload) =>
      origin.writeLargeObject(key, {
        ...upload,
        read: async range => {
          await meddle(range);
          return upload.read(range);
        },
      }),
  };
}

async function storedManifest(origin: Origin): Promise<Manifest | undefined> {
  const bytes = await origin.readObject(manifestKey(job), { bytesMax: 100 * MiB });
  return bytes && parseManifest(Buffer.from(bytes).toString('utf8'));
}

/** Fetch without peers: every chunk from the origin, as an agent alone would. */
async function fetchAlone(origin: Origin, manifest: Manifest, dest: string): Promise<void> {
  const opened = await openDestination({ manifest, manifestBytes: manifestBytes(manifest), dest });
  assert(opened.kind === 'partial', 'complete already');
  const offsets = chunkOffsets(manifest);
  for (const [chunk, { lengthBytes }] of manifest.chunks.entries()) {
    const receiver = opened.store.receive(chunk);
    const range = { offsetBytes: offsets[chunk] ?? 0, lengthBytes };
    for await (const slice of origin.readRange(manifest.source.key, range)) await receiver.write(slice);
    expect(await receiver.finish()).toBe('verified');
  }
  await opened.place();
  await opened.close();
}

test('what is published can be fetched, and is the same: bytes, names, modes, links', async () => {
  const { source, origin } = await place();
  await fill(source);

  const { kind, manifest, digest } = await publish({ path: source, job, origin });

  expect(kind).toBe('published');
  expect(manifest).toMatchObject({ job, root: 'directory', chunkLengthBytes: MiB, lengthBytes: 5 * MiB + 422 });
  expect(await storedManifest(origin)).toEqual(manifest);
  expect(digest).toBe(manifestDigest(manifestBytes(manifest)));
  expect(manifest.source.key).toMatch(/^jobs\/models-7\/data-[0-9a-f]{16}$/);
  await fetchAlone(origin, manifest, `${source}-fetched`);
  const nothing = { badChunks: [], badFiles: [], missing: [], extra: [] };
  expect(await verifyTree({ manifest, path: `${source}-fetched` })).toEqual(nothing);
  expect(await verifyTree({ manifest, path: source })).toEqual(nothing);
});

test('a single file is a job, under a chunk length of the publisher', async () => {
  const { source, origin } = await place();
  await writeFile(join(source, 'model.bin'), someBytes(1_000_000, 4));

  const { manifest } = await publish({ path: join(source, 'model.bin'), job, origin, chunkLengthBytes: 300_000 });

  expect(manifest).toMatchObject({ root: 'file', entries: [{ path: 'model.bin' }] });
  expect(manifest.chunks.map(chunk => chunk.lengthBytes)).toEqual([300_000, 300_000, 300_000, 100_000]);
  await fetchAlone(origin, manifest, `${source}-fetched`);
  expect(Buffer.compare(await readFile(`${source}-fetched`), someBytes(1_000_000, 4))).toBe(0);
});

test('a job without bytes has a manifest and no object', async () => {
  const { source, origin, originPath } = await place();
  await mkdir(join(source, 'empty'));
  await writeFile(join(source, 'nothing'), '');

  const { manifest } = await publish({ path: source, job, origin });

  expect(manifest).toMatchObject({ lengthBytes: 0, chunks: [] });
  expect(await readdir(join(originPath, 'jobs/models-7'))).toEqual(['manifest.json']);
  await fetchAlone(origin, manifest, `${source}-fetched`);
  expect((await readdir(`${source}-fetched`)).sort()).toEqual(['empty', 'nothing']);
});

test('published twice it is unchanged, and nothing is sent again', async () => {
  const { source, origin } = await place();
  await fill(source);
  const first = await publish({ path: source, job, origin });
  await utimes(join(source, 'large.bin'), new Date(0), new Date(0));
  const silent = meddled(origin, () => Promise.reject(new Error('sent again')));

  const second = await publish({ path: source, job, origin: silent });

  expect(second).toEqual({ ...first, kind: 'unchanged' });
});

test('other content under the same id is refused, and told apart', async () => {
  const { source, origin } = await place();
  await fill(source);
  const { manifest } = await publish({ path: source, job, origin });
  const changes: [() => Promise<void>, RegExp][] = [
    [() => writeFile(join(source, 'sub/run me.sh'), someBytes(300, 99)), /the bytes of ".*" differ/],
    [() => writeFile(join(source, 'sub/run me.sh'), 'x'), /"sub\/run me.sh" has 300 bytes there, 1 here/],
    [() => chmod(join(source, 'large.bin'), 0o600), /"large.bin" has mode 644 there, 600 here/],
    [() => writeFile(join(source, 'added'), ''), /it has no "added"/],
  ];

  for (const [change, message] of changes) {
    await change();
    await expect(publish({ path: source, job, origin })).rejects.toMatchObject({
      code: 'job-exists',
      message: expect.stringMatching(message),
    });
  }
  expect(await storedManifest(origin)).toEqual(manifest);
});

test('bytes that change while they are sent are noticed, and nothing becomes visible', async () => {
  const { source, origin } = await place();
  await fill(source);
  const path = join(source, 'large.bin');
  const meddling = meddled(origin, async () => {
    const bytes = await readFile(path);
    bytes[2 * MiB] = (bytes[2 * MiB] ?? 0) ^ 1;
    await writeFile(path, bytes);
  });

  await expect(publish({ path: source, job, origin: meddling })).rejects.toMatchObject({
    code: 'source-changed',
    message: expect.stringContaining(path),
  });

  expect(await storedManifest(origin)).toBeUndefined();
  expect((await publish({ path: source, job, origin })).kind).toBe('published');
});

test.each([
  ['a file is added', (source: string) => writeFile(join(source, 'added'), 'x'), /added is new/],
  ['a file is touched', (source: string) => utimes(join(source, 'снег'), 1, 1), /снег was changed/],
  ['a mode is changed', (source: string) => chmod(join(source, 'nothing'), 0o600), /nothing was changed/],
])('when %s while the bytes are sent, the job is not published', async (_, change, message) => {
  const { source, origin } = await place();
  await fill(source);
  let once = false;
  const meddling = meddled(origin, async () => {
    if (!once) await change(source);
    once = true;
  });

  await expect(publish({ path: source, job, origin: meddling })).rejects.toMatchObject({
    code: 'source-changed',
    message: expect.stringMatching(message),
  });
  expect(await storedManifest(origin)).toBeUndefined();
});

test('of two publishers at the same time both succeed with one content, and one with two', async () => {
  const { source, origin } = await place();
  await fill(source);
  const both = await Promise.all([publish({ path: source, job, origin }), publish({ path: source, job, origin })]);
  expect(both[0]?.digest).toBe(both[1]?.digest);

  const other = parseJobId('other');
  const file = join(source, 'large.bin');
  const outcomes = await Promise.allSettled([
    publish({ path: source, job: other, origin }),
    publish({ path: file, job: other, origin }),
  ]);
  expect(outcomes.map(outcome => outcome.status).sort()).toEqual(['fulfilled', 'rejected']);
  const refused = outcomes.find(outcome => outcome.status === 'rejected');
  expect(refused?.reason).toMatchObject({ code: 'job-exists' });
});

test('an upload that was broken off is not visible, and the next one completes the job', async () => {
  const { source, origin } = await place();
  await fill(source);
  const controller = new AbortController();
  const aborting = meddled(origin, async () => controller.abort(new Error('enough')));

  await expect(publish({ path: source, job, origin: aborting, signal: controller.signal })).rejects.toThrow();

  expect(await storedManifest(origin)).toBeUndefined();
  expect((await publish({ path: source, job, origin })).kind).toBe('published');
});

test('the progress goes through the phases, and up in each', async () => {
  const { source, origin } = await place();
  await fill(source);
  const seen: PublishProgress[] = [];

  await publish({ path: source, job, origin, onProgress: progress => seen.push(progress) });

  expect([...new Set(seen.map(({ phase }) => phase))]).toEqual(['scanning', 'hashing', 'uploading']);
  for (const phase of ['hashing', 'uploading']) {
    const steps = seen.filter(progress => progress.phase === phase).map(({ doneBytes }) => doneBytes);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps.at(-1)).toBe(5 * MiB + 422);
  }
});

test.each([0, -1, 1.5, 2 ** 31])('a chunk length of %d is refused', async chunkLengthBytes => {
  const { source, origin } = await place();
  await fill(source);

  await expect(publish({ path: source, job, origin, chunkLengthBytes })).rejects.toMatchObject({ code: 'usage' });
});

test('10,000 small files are published and fetched as a few chunks', async () => {
  const { source, origin } = await place();
  for (let directory = 0; directory < 10; directory += 1) {
    await mkdir(join(source, `d${directory}`));
    const names = Array.from({ length: 1000 }, (_, index) => join(source, `d${directory}/file ${index}`));
    await Promise.all(names.map((name, index) => writeFile(name, someBytes(index % 300, index))));
  }

  const { manifest } = await publish({ path: source, job, origin });

  expect(manifest.entries).toHaveLength(10_010);
  expect(manifest.chunks).toHaveLength(2);
  await fetchAlone(origin, manifest, `${source}-fetched`);
  expect(await verifyTree({ manifest, path: `${source}-fetched` })).toMatchObject({
    badChunks: [],
    badFiles: [],
    missing: [],
    extra: [],
  });
});
