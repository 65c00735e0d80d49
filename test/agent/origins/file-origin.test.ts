import { fork } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FileOrigin } from '../../../agent/origins/file-origin.ts';
import { bytesOf, collect, describeOrigin } from '../../conformance/origin.ts';
import { temporaryDirectory } from '../../temporary-directory.ts';

describeOrigin('file', async () => {
  const path = await mkdtemp(join(tmpdir(), 'starling-origin-'));
  return {
    open: async () => new FileOrigin(path),
    close: () => rm(path, { recursive: true, force: true }),
  };
}, []);

test('an object is a plain file, and a plain file is an object', async () => {
  const path = await temporaryDirectory();
  const origin = new FileOrigin(path);
  await mkdir(join(path, 'by'));
  await writeFile(join(path, 'by/hand'), 'hello');

  await origin.writeObjectIfAbsent('deep/er/object', bytesOf(10, 1));

  expect(await readFile(join(path, 'deep/er/object'))).toEqual(Buffer.from(bytesOf(10, 1)));
  expect(await origin.readObject('by/hand', { bytesMax: 10 })).toEqual(new Uint8Array(Buffer.from('hello')));
});

test('nothing is left in the staging directory, whether writing went well or not', async () => {
  const path = await temporaryDirectory();
  const origin = new FileOrigin(path);

  await origin.writeObjectIfAbsent('good', bytesOf(10, 1));
  await origin.writeObjectIfAbsent('good', bytesOf(10, 1));
  const read = () => Promise.reject(new Error('the source is gone'));
  await expect(origin.writeLargeObject('bad', { lengthBytes: 10, cutsAt: [], read })).rejects.toThrow('is gone');

  expect(await readdir(join(path, '.starling-staging'))).toEqual([]);
});

test('what a killed writer left is never an object, and is swept a day later', async () => {
  const path = await temporaryDirectory();
  const program = `
    import { FileOrigin } from ${JSON.stringify(join(import.meta.dirname, '../../../agent/origins/file-origin.ts'))};
    const read = async range => {
      if (range.offsetBytes > 0) { process.send('half'); await new Promise(() => setInterval(() => {}, 1000)); }
      return new Uint8Array(range.lengthBytes);
    };
    await new FileOrigin(process.argv[2]).writeLargeObject('object', { lengthBytes: 2 ** 24, cutsAt: [2 ** 23], read });`;
  const script = join(path, 'writer.mjs');
  await writeFile(script, program);
  const child = fork(script, [path]);
  await new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', () => reject(new Error('the writer ended by itself')));
  });
  await new Promise(resolve => {
    child.once('exit', resolve);
    child.kill('SIGKILL');
  });
  const staging = join(path, '.starling-staging');
  const [left = ''] = await readdir(staging);
  expect(left).toMatch(/\.bytes$/);
  const origin = new FileOrigin(path);

  expect(await origin.readObject('object', { bytesMax: 2 ** 25 })).toBeUndefined();
  await origin.writeObjectIfAbsent('young', bytesOf(1, 1));
  expect(await readdir(staging)).toEqual([left]);

  const yesterday = new Date(Date.now() - 25 * 3_600_000);
  await utimes(join(staging, left), yesterday, yesterday);
  await new FileOrigin(path).writeObjectIfAbsent('later', bytesOf(1, 1));
  expect(await readdir(staging)).toEqual([]);
});

test('a directory that is missing is not an origin without objects', async () => {
  const path = await temporaryDirectory();
  const origin = new FileOrigin(join(path, 'not-mounted'));

  await expect(origin.readObject('any', { bytesMax: 10 })).rejects.toMatchObject({
    code: 'origin-unreachable',
    next: expect.stringContaining('mounted'),
  });
  await expect(origin.hasObject('any', 10)).rejects.toMatchObject({ code: 'origin-unreachable' });
});

test('directories and what lies below a file are no objects', async () => {
  const path = await temporaryDirectory();
  const origin = new FileOrigin(path);
  await origin.writeObjectIfAbsent('a/b', bytesOf(10, 1));

  expect(await origin.readObject('a', { bytesMax: 10 })).toBeUndefined();
  expect(await origin.readObject('a/b/c', { bytesMax: 10 })).toBeUndefined();
  await expect(origin.writeObjectIfAbsent('a/b/c', bytesOf(1, 1))).rejects.toMatchObject({ code: 'origin-refused' });
  await expect(origin.writeObjectIfAbsent('a', bytesOf(1, 1))).rejects.toMatchObject({ code: 'origin-refused' });
});

test('a loop of symlinks is refused, not followed for ever', async () => {
  const path = await temporaryDirectory();
  await symlink('loop', join(path, 'loop'));

  await expect(new FileOrigin(path).readObject('loop', { bytesMax: 10 })).rejects.toMatchObject({
    code: 'origin-refused',
  });
});

test('a file that is cut while it is read is an error, not a shorter range', async () => {
  const path = await temporaryDirectory();
  const origin = new FileOrigin(path);
  await origin.writeObjectIfAbsent('object', bytesOf(1_000_000, 1));
  const slices = origin.readRange('object', { offsetBytes: 0, lengthBytes: 1_000_000 });

  await slices.next();
  await writeFile(join(path, 'object'), 'short');

  await expect(collect(slices)).rejects.toMatchObject({ code: 'origin-refused' });
});
