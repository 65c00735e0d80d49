import process from 'node:process';
import { openDestination } from '../../../agent/disk/destination.ts';
import { type Job, jobOf, MIXED, MIXED_CHUNK_BYTES, someBytes, type TreeContent } from './job-tree.ts';

/**
 * A fetch in a process of its own, to be killed or run as another user: `fetch-process.ts <dest> <job>`. It tells every
 * step by a line on stdout, after it was done: `have <count>`, `verified <chunk>`, `placing`, `placed`.
 */
const READ_ONLY: TreeContent = {
  d: { directoryMode: 0o555 },
  'd/e': { directoryMode: 0o555 },
  'd/e/f': { bytes: someBytes(100_000, 1), mode: 0o444 },
  'd/g': { bytes: someBytes(10, 2), mode: 0o444 },
};

export const JOBS: Record<string, Job> = {
  mixed: jobOf(MIXED, MIXED_CHUNK_BYTES / 8),
  'read-only': jobOf(READ_ONLY, 30_000),
  other: jobOf({ d: 'directory', 'd/x': someBytes(70_000, 3) }, 30_000),
};

async function run(dest: string, job: Job): Promise<void> {
  const { manifest, manifestBytes } = job;
  const opened = await openDestination({ manifest, manifestBytes, dest, replace: true });
  say(`have ${opened.store.have.size}`);
  if (opened.kind === 'complete') return say('placed');
  for (const chunk of [...opened.store.have.missing()]) {
    const receiver = opened.store.receive(chunk);
    await receiver.write(job.chunks[chunk] ?? new Uint8Array());
    say(`${await receiver.finish()} ${chunk}`);
  }
  say('placing');
  await opened.place();
  await opened.close();
  say('placed');
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const [dest, name] = process.argv.slice(2);
const job = JOBS[name ?? ''];
if (import.meta.main && dest !== undefined && job !== undefined) await run(dest, job);
