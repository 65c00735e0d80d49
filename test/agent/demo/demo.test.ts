import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../temporary-directory.ts';
import { agentCommand } from '../agent-command.ts';

const SIZE_BYTES = 8 * 1024 ** 2;

test('a demo ends with one line of figures that are right, and leaves nothing behind', async () => {
  const dir = await temporaryDirectory();

  const { exitCode, stdout } = await agentCommand(['demo', '--agents', '3', '--size', '8MiB', '--dir', dir, '--json']);

  const figures = JSON.parse(stdout);
  expect(exitCode).toBe(0);
  expect(figures).toMatchObject({ ok: true, agents: 3, sizeBytes: SIZE_BYTES, chunks: 8 });
  expect(figures.bytesFromOrigin + figures.bytesFromPeers).toBe(3 * SIZE_BYTES);
  // Measured at the origin, so it may only be more than what the agents kept of it.
  expect(figures.originCopies * SIZE_BYTES).toBeGreaterThanOrEqual(figures.bytesFromOrigin - SIZE_BYTES / 10_000);
  expect(figures.originCopies).toBeLessThan(3);
  expect(figures.firstDoneMs).toBeGreaterThan(0);
  expect(figures.lastDoneMs).toBeGreaterThanOrEqual(figures.firstDoneMs);
  expect(figures.peakRssBytes).toBeGreaterThan(20 * 1024 ** 2);
  expect(await readdir(dir)).toEqual([]);
});

test('it distributes a directory of ours, tells about each agent, and keeps the copies if asked to', async () => {
  const [dir, source] = [await temporaryDirectory(), await temporaryDirectory()];
  await mkdir(join(source, 'empty'));
  await writeFile(join(source, 'ein Name mit ü'), 'content');
  await symlink('ein Name mit ü', join(source, 'link'));

  const { exitCode, stdout } = await agentCommand(['demo', '--agents', '2', '--file', source, '--dir', dir, '--keep']);

  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/agent 1 .* identical\nagent 2 .* identical\n/);
  expect(stdout).toContain('All 2 agents have the whole of it');
  const [folder = ''] = await readdir(dir);
  expect(stdout).toContain(`everything is in ${join(dir, folder)}`);
  expect(await readFile(join(dir, folder, 'agent-2', 'copy', 'link'), 'utf8')).toBe('content');
});

test('interrupted while the agents work, it stops them, cleans up, and ends with 130', async () => {
  const dir = await temporaryDirectory();

  const { exitCode, stdout, stderr } = await agentCommand(['demo', '--agents', '2', '--size', '1GiB', '--dir', dir], {
    onOutput: (text, kill) => {
      if (text.includes('fetching: ')) kill('SIGINT');
    },
  });

  expect(exitCode).toBe(130);
  expect(stderr).toContain('error: interrupted');
  expect(stdout).not.toContain('identical');
  expect(await readdir(dir)).toEqual([]);
  expect(await agentsUnder(dir)).toEqual([]);
});

test('killed, it leaves no agent alive', async () => {
  const dir = await temporaryDirectory();

  await agentCommand(['demo', '--agents', '2', '--size', '1GiB', '--dir', dir], {
    onOutput: (text, kill) => {
      if (text.includes('fetching: ')) kill('SIGKILL');
    },
  });

  await expect.poll(() => agentsUnder(dir), { timeout: 20_000 }).toEqual([]);
});

test('it says so before it begins if there is no room', async () => {
  const dir = await temporaryDirectory();

  const { exitCode, stderr } = await agentCommand(['demo', '--agents', '8', '--size', '900TiB', '--dir', dir]);

  expect(exitCode).toBe(5);
  expect(stderr).toMatch(/error: the demo needs 9000 TiB, .* has .*\nnext: .*--dir/);
  expect(await readdir(dir)).toEqual([]);
});

/** Processes that have the directory in their command line. Without /proc there is nothing to see. */
async function agentsUnder(dir: string): Promise<readonly string[]> {
  const processes = (await readdir('/proc').catch(() => [])).filter(name => /^\d+$/.test(name));
  const lines = await Promise.all(processes.map(id => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter(line => line.includes(dir));
}
