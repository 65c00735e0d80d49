import { chmod, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { writeSampleFile } from '../../../agent/demo/sample-file.ts';
import { digestTree } from '../../../agent/demo/tree-digest.ts';
import { temporaryDirectory } from '../../temporary-directory.ts';

const { signal } = new AbortController();

async function tree(): Promise<string> {
  const root = join(await temporaryDirectory(), 'tree');
  await mkdir(join(root, 'empty'), { recursive: true });
  await mkdir(join(root, 'a b'));
  await writeFile(join(root, 'a b', 'ü'), 'some bytes');
  await symlink('a b/ü', join(root, 'link'));
  return root;
}

describe('the digest of a tree', () => {
  let root: string;
  beforeEach(async () => {
    root = await tree();
  });

  test('is the same for the same tree elsewhere, and counts its bytes', async () => {
    const other = await tree();

    const [one, two] = [await digestTree(root, signal), await digestTree(other, signal)];

    expect(one).toEqual(two);
    expect(one.lengthBytes).toBe(10);
  });

  test.each([
    ['a byte', (path: string) => writeFile(join(path, 'a b', 'ü'), 'sOme bytes')],
    ['a name', (path: string) => rename(join(path, 'a b', 'ü'), join(path, 'a b', 'u'))],
    ['a mode', (path: string) => chmod(join(path, 'a b', 'ü'), 0o755)],
    ['a mode of a directory', (path: string) => chmod(join(path, 'empty'), 0o700)],
    ['a file more', (path: string) => writeFile(join(path, 'empty', 'x'), '')],
    ['a link', (path: string) => symlink('a b', join(path, 'more'))],
  ])('differs by %s', async (_what, change) => {
    const before = await digestTree(root, signal);

    await change(root);

    expect((await digestTree(root, signal)).sha256).not.toBe(before.sha256);
  });
});

test('the sample is the same each time, as long as asked, and has no order in it', async () => {
  const folder = await temporaryDirectory();
  const lengthBytes = 5 * 1024 ** 2 + 7;
  await writeSampleFile(join(folder, 'one'), lengthBytes, signal);
  await writeSampleFile(join(folder, 'two'), lengthBytes, signal);

  const one = await digestTree(join(folder, 'one'), signal);

  expect(one).toEqual(await digestTree(join(folder, 'two'), signal));
  expect(one.lengthBytes).toBe(lengthBytes);
  expect(await gzippedShare(join(folder, 'one'))).toBeGreaterThan(0.99);
});

async function gzippedShare(path: string): Promise<number> {
  const [{ readFile }, { gzipSync }] = await Promise.all([import('node:fs/promises'), import('node:zlib')]);
  const bytes = await readFile(path);
  return gzipSync(bytes, { level: 1 }).length / bytes.length;
}
