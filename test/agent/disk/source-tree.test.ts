import { execFileSync } from 'node:child_process';
import { mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { scanSource, sourceChange } from '../../../agent/disk/source-tree.ts';
import { temporaryDirectory } from './temporary-directory.ts';

test('a directory is scanned with files, empty directories, links as they are, and modes', async () => {
  const root = await temporaryDirectory();
  await mkdir(join(root, 'b/empty'), { recursive: true });
  await writeFile(join(root, 'b/run it.sh'), 'abc', { mode: 0o755 });
  await writeFile(join(root, 'a'), '', { mode: 0o400 });
  await writeFile(join(root, 'снег'), 'x', { mode: 0o644 });
  await symlink('../a', join(root, 'b/link'));
  await symlink('b', join(root, 'to-directory'));

  const tree = await scanSource(root);

  expect(tree.root).toBe('directory');
  expect(tree.lengthBytes).toBe(4);
  expect(tree.entries).toEqual([
    { kind: 'file', path: 'a', mode: 0o400, lengthBytes: 0 },
    { kind: 'directory', path: 'b', mode: 0o755 },
    { kind: 'directory', path: 'b/empty', mode: 0o755 },
    { kind: 'symlink', path: 'b/link', target: '../a' },
    { kind: 'file', path: 'b/run it.sh', mode: 0o755, lengthBytes: 3 },
    { kind: 'symlink', path: 'to-directory', target: 'b' },
    { kind: 'file', path: 'снег', mode: 0o644, lengthBytes: 1 },
  ]);
});

test('a file is scanned under its own name, and a symlink given as the path is followed', async () => {
  const root = await temporaryDirectory();
  await writeFile(join(root, 'real.bin'), 'abc', { mode: 0o644 });
  await symlink('real.bin', join(root, 'latest.bin'));
  await mkdir(join(root, 'd'));
  await symlink('d', join(root, 'latest'));

  const file = await scanSource(join(root, 'latest.bin'));

  expect(file).toMatchObject({ root: 'file', entries: [{ kind: 'file', path: 'latest.bin', lengthBytes: 3 }] });
  expect(file.locate('latest.bin')).toBe(join(root, 'real.bin'));
  expect(await scanSource(join(root, 'latest'))).toMatchObject({ root: 'directory', entries: [] });
});

test('what cannot be published is refused with its path and what to do', async () => {
  const root = await temporaryDirectory();
  const make = async (name: string): Promise<string> => {
    await mkdir(join(root, name));
    return join(root, name);
  };
  execFileSync('mkfifo', [join(await make('pipe'), 'p')]);
  const server = createServer().listen(join(await make('socket'), 's'));
  onTestFinished(() => {
    server.close();
  });
  await new Promise(resolve => server.once('listening', resolve));
  await writeFile(Buffer.concat([Buffer.from(`${await make('latin1')}/`), Buffer.from([0xe9])]), '');
  await symlink('/etc/hostname', join(await make('absolute'), 'l'));
  await symlink('../../x', join(await make('outside'), 'l'));
  await writeFile(join(await make('backslash'), 'a\\b'), '');

  const refusals: [string, string, RegExp][] = [
    ['pipe', 'source-unreadable', /pipe\/p is a pipe/],
    ['socket', 'source-unreadable', /socket\/s is a socket/],
    ['latin1', 'source-unreadable', /latin1 is not UTF-8: "é"/],
    ['absolute', 'unsafe-path', /"\/etc\/hostname" of symlink "l"/],
    ['outside', 'unsafe-path', /"\.\.\/\.\.\/x" of symlink "l"/],
    ['backslash', 'unsafe-path', /a\\\\b/],
    ['missing', 'source-unreadable', /missing: ENOENT/],
    ['pipe/p', 'source-unreadable', /is a pipe/],
  ];
  for (const [name, code, message] of refusals) {
    const refused = scanSource(join(root, name));
    await expect(refused, name).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
      next: expect.any(String),
    });
  }
});

test('a second look tells what changed: bytes, even with the old times; names; modes; links', async () => {
  const root = await temporaryDirectory();
  const at = (name: string): string => join(root, name);
  await writeFile(at('a'), 'aaa');
  await writeFile(at('b'), 'bbb');
  await symlink('a', at('l'));
  const before = await scanSource(root);
  expect(sourceChange(before, await scanSource(root))).toBeUndefined();

  await utimes(at('a'), new Date(0), new Date(0));
  expect(sourceChange(before, await scanSource(root))).toBe(`${at('a')} was changed`);

  const then = await scanSource(root);
  await writeFile(at('new'), '');
  expect(sourceChange(then, await scanSource(root))).toBe(`${at('new')} is new`);
  await rm(at('new'));
  await rename(at('b'), at('b2'));
  expect(sourceChange(then, await scanSource(root))).toBe(`${at('b')} is gone`);
  await rename(at('b2'), at('b'));
  await rm(at('l'));
  await symlink('b', at('l'));
  await rm(at('b'));
  await writeFile(at('b'), 'bbb');
  expect(sourceChange(then, await scanSource(root))).toBe(`${at('b')} was changed`);
});
