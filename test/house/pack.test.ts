import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { cp, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../temporary-directory.ts';

const TOP = join(import.meta.dirname, '..', '..');
const SOURCES = ['agent', 'core', 'tracker', 'package.json', 'LICENSE', 'CHANGELOG.md'];
const execute = promisify(execFile);

test('npm pack gives a package that is installed without a network and works', async () => {
  const top = await checkout();
  const before = await manifestOf(top);
  const env = await offlineEnv();
  const prefix = await temporaryDirectory();

  await execute('npm', ['pack'], { cwd: top, env });
  const tarball = (await readdir(top)).find(name => name.endsWith('.tgz')) ?? 'none';
  await execute('npm', ['install', '--global', '--prefix', prefix, join(top, tarball)], { cwd: prefix, env });

  expect(await manifestOf(top)).toBe(before);
  const packed = JSON.parse(await manifestOf(join(prefix, 'lib', 'node_modules', 'starling')));
  expect(packed).toMatchObject({ version: JSON.parse(before).version, bin: { agent: 'dist/agent.js' } });
  expect(packed.engines.node).toMatch(/^>=22/);
  expect(packed.dependencies ?? packed.optionalDependencies).toBeUndefined();
  await useAgent(join(prefix, 'bin', 'agent'), packed.version);
}, 180_000);

test('package.json is as before when npm pack fails', async () => {
  const top = await checkout();
  const before = await manifestOf(top);

  const packing = execute('npm', ['pack', '--pack-destination', join(top, 'none')], {
    cwd: top,
    env: await offlineEnv(),
  });

  await expect(packing).rejects.toThrow('ENOENT');
  await expect.poll(() => manifestOf(top), { timeout: 10_000 }).toBe(before);
});

test('package.json is as before when npm pack is killed while another one stands in its place', async () => {
  const top = await checkout();
  const before = await manifestOf(top);
  const swapped = changed(top, '.package.json.aside');

  const npm = spawn('npm', ['pack'], { cwd: top, env: await offlineEnv(), stdio: 'ignore' });
  const exited = once(npm, 'exit');
  await swapped;
  npm.kill('SIGKILL');
  await exited;

  await expect.poll(() => manifestOf(top), { timeout: 10_000 }).toBe(before);
});

/** `agent` as it was installed, run by the Node of this test: the machine's own may be too old. */
async function useAgent(path: string, version: string): Promise<void> {
  const folder = await temporaryDirectory();
  const env = { ...process.env, STARLING_CONFIG: join(folder, 'agent.json'), STARLING_ORIGIN: folder };
  await writeFile(join(folder, 'agent.json'), '{}');
  await writeFile(join(folder, 'source'), 'some bytes');
  const agent = async (...args: string[]): Promise<string> =>
    (await execute(process.execPath, [path, ...args], { cwd: folder, env })).stdout;

  expect(await agent('--help')).toContain('Usage: agent');
  expect(await agent('--version')).toBe(`${version}\n`);
  expect(await agent('publish', 'source', '--job', 'j')).toContain('published j');
  expect(await agent('fetch', '--job', 'j', '--dest', 'copy', '--linger', '0')).toContain('done: ');
  expect(await readFile(join(folder, 'copy'), 'utf8')).toBe('some bytes');
  // Several processes that find themselves, and hashing threads that find their script.
  expect(JSON.parse(await agent('demo', '--agents', '2', '--size', '20MiB', '--json'))).toMatchObject({ ok: true });
}

/** A copy of the checkout: `npm pack` swaps package.json for a moment, and others read it meanwhile. */
async function checkout(): Promise<string> {
  const copy = await temporaryDirectory();
  for (const name of SOURCES) await cp(join(TOP, name), join(copy, name), { recursive: true });
  await symlink(join(TOP, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** No network, an empty cache, and none of the settings of the npm that runs this test. */
async function offlineEnv(): Promise<NodeJS.ProcessEnv> {
  const own = Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_'));
  return { ...Object.fromEntries(own), npm_config_cache: await temporaryDirectory(), npm_config_offline: 'true' };
}

function manifestOf(folder: string): Promise<string> {
  return readFile(join(folder, 'package.json'), 'utf8');
}

/** Resolves when a file of that name comes into the folder. */
function changed(folder: string, name: string): Promise<void> {
  return new Promise(resolve => {
    const watcher = watch(folder, (_event, found) => {
      if (found !== name) return;
      watcher.close();
      resolve();
    });
  });
}
