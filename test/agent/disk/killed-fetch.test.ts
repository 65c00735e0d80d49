import { spawn } from 'node:child_process';
import { access, chmod, chown, constants, mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { verifyTree } from '../../../agent/disk/verify-tree.ts';
import { assert } from '../../../core/assert.ts';
import { JOBS } from './fetch-process.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const SCRIPT = join(import.meta.dirname, 'fetch-process.ts');
const NOBODY = 65_534;
const whole = { badChunks: [], badFiles: [], missing: [], extra: [] };

type Run = { readonly lines: readonly string[]; readonly errors: string; readonly exitCode: number | null };

/** Run a fetch; `killAt(line, lines so far)` says when to end it by SIGKILL. */
async function fetchInProcess(
  dest: string,
  job: string,
  settings: { readonly killAt?: (line: string, count: number) => boolean; readonly uid?: number } = {},
): Promise<Run> {
  const owner = settings.uid === undefined ? {} : { uid: settings.uid, gid: settings.uid };
  const child = spawn(process.execPath, [SCRIPT, dest, job], { stdio: ['ignore', 'pipe', 'pipe'], ...owner });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let errors = '';
  child.stderr.on('data', text => {
    errors += text;
  });
  const exited = new Promise<number | null>(resolve => child.once('close', resolve));
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (settings.killAt?.(line, lines.length)) child.kill('SIGKILL');
  }
  return { lines, errors, exitCode: await exited };
}

function jobNamed(name: string): NonNullable<(typeof JOBS)[string]> {
  const job = JOBS[name];
  assert(job !== undefined, `no job ${name}`);
  return job;
}

test('killed anywhere, a fetch leaves nothing half at the destination and keeps what it had verified', async () => {
  const dest = join(await temporaryDirectory(), 'dest');
  const { manifest } = jobNamed('mixed');
  let verified = 0;
  const moments: ((line: string, count: number) => boolean)[] = [
    (_, count) => count === 1,
    (_, count) => count === 3,
    line => line.startsWith('verified'),
    (_, count) => count === 9,
    line => line === 'placing',
    line => line === 'placing',
  ];

  for (const killAt of moments) {
    const run = await fetchInProcess(dest, 'mixed', { killAt });
    // More may have been verified between the line that we saw and the kill: never less.
    expect(Number(run.lines[0]?.replace('have ', '')), run.errors).toBeGreaterThanOrEqual(verified);
    verified =
      Number(run.lines[0]?.replace('have ', '')) + run.lines.filter(line => line.startsWith('verified')).length;
    if ((await readdir(dirname(dest))).includes('dest')) {
      expect(await verifyTree({ manifest, path: dest })).toEqual(whole);
    }
  }

  expect((await fetchInProcess(dest, 'mixed')).lines.at(-1)).toBe('placed');
  expect(await verifyTree({ manifest, path: dest })).toEqual(whole);
  expect(await readdir(dirname(dest))).toEqual(['dest']);
});

test('a replacement that is killed while it is placed leaves the old job or the new one, after the next run the new one', async () => {
  const dest = join(await temporaryDirectory(), 'dest');
  await fetchInProcess(dest, 'other');

  await fetchInProcess(dest, 'read-only', { killAt: line => line === 'placing' });
  const names = await readdir(dirname(dest));
  if (names.includes('dest')) {
    const reports = [
      await verifyTree({ manifest: jobNamed('other').manifest, path: dest }),
      await verifyTree({ manifest: jobNamed('read-only').manifest, path: dest }),
    ];
    expect(reports).toContainEqual(whole);
  } else {
    // Between the two renames: it lies beside, and the next run puts it back first.
    expect(await readdir(join(dirname(dest), 'dest.starling-partial'))).toContain('replaced');
  }

  const last = await fetchInProcess(dest, 'read-only');
  expect(last.lines.at(-1), last.errors).toBe('placed');
  expect(await verifyTree({ manifest: jobNamed('read-only').manifest, path: dest })).toEqual(whole);
  expect(await readdir(dirname(dest))).toEqual(['dest']);
});

test('a user without privileges places, resumes and replaces trees with read-only directories', async context => {
  const isRoot = process.getuid?.() === 0;
  if (isRoot && !(await isReadableByAll(SCRIPT))) context.skip('root, and the checkout is not readable by other users');
  const uid = isRoot ? { uid: NOBODY } : {};
  const base = await temporaryDirectory();
  const dest = join(base, 'home/dest');
  await mkdir(dirname(dest));
  await chmod(base, 0o755);
  if (isRoot) await chown(dirname(dest), NOBODY, NOBODY);

  await fetchInProcess(dest, 'read-only', { killAt: line => line === 'placing', ...uid });
  for (const job of ['read-only', 'other', 'read-only', 'mixed']) {
    const run = await fetchInProcess(dest, job, uid);
    expect(run.lines.at(-1), run.errors).toBe('placed');
    expect(await verifyTree({ manifest: jobNamed(job).manifest, path: dest })).toEqual(whole);
  }
  expect(await readdir(dirname(dest))).toEqual(['dest']);

  await chmod(dirname(dest), 0o555);
  const refused = await fetchInProcess(join(dirname(dest), 'second'), 'mixed', uid);
  expect(refused.errors).toContain('destination-unwritable');
});

async function isReadableByAll(path: string): Promise<boolean> {
  await access(path, constants.R_OK);
  for (let at = path; at !== dirname(at); at = dirname(at)) if (((await stat(at)).mode & 0o005) === 0) return false;
  return ((await stat(process.execPath)).mode & 0o005) === 0o005;
}
