import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { Bytes } from '../../core/ids.ts';
import type { HashAnswer, HashRequest } from './hash-worker.ts';
import { type FileSpan, type HashOutcome, SpanHasher } from './span-hasher.ts';

export type HashJob = {
  /** One for each hash, mostly a chunk's spans. Drawn as they are needed, never all at one time. */
  readonly tasks: Iterable<readonly FileSpan[]>;
  /** Of all tasks together: decides whether threads are worth starting. */
  readonly lengthBytes: Bytes;
  readonly fileCount: number;
  /** Called once for each task, in any order; `index` counts the tasks from 0. If it throws, the job ends with that. */
  readonly onHashed: (index: number, outcome: HashOutcome) => void;
  readonly signal?: AbortSignal | undefined;
};

/**
 * Hash many pieces of files, in as many threads as there are processors; a thread reads its files itself, so no bytes
 * cross threads. A small job is done at once in this one. When it returns or throws, all threads have ended.
 * Throws the signal's reason, `disk-failed` if a thread dies, or what `onHashed` throws; files that cannot be read are outcomes.
 */
export async function hashSpans(job: HashJob): Promise<void> {
  job.signal?.throwIfAborted();
  const { hashInlineBytesMax, hashInlineFilesMax, hashThreadsMax } = config.disk;
  if (job.lengthBytes <= hashInlineBytesMax && job.fileCount <= hashInlineFilesMax) return hashHere(job);
  const threads = Math.max(1, Math.min(availableParallelism(), hashThreadsMax));
  const tasks = numbered(job.tasks);
  const workers = Array.from({ length: threads }, () => new Worker(workerUrl()));
  try {
    await Promise.all(workers.map(worker => feed(worker, tasks, job)));
  } finally {
    // A worker that is still at work hashes for nobody: its fds are closed with it.
    await Promise.all(workers.map(worker => worker.terminate()));
  }
}

/** The worker is a source beside this one in the checkout, and a file beside the bundle in a release. */
function workerUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './hash-worker.ts' : './hash-worker.js', import.meta.url);
}

async function hashHere(job: HashJob): Promise<void> {
  const hasher = new SpanHasher();
  try {
    for (const { index, spans } of numbered(job.tasks)) {
      job.onHashed(index, hasher.hash(spans));
      await setImmediate();
      job.signal?.throwIfAborted();
    }
  } finally {
    hasher.close();
  }
}

function* numbered(tasks: Iterable<readonly FileSpan[]>): Generator<HashRequest> {
  let index = 0;
  for (const spans of tasks) {
    yield { index, spans };
    index += 1;
  }
}

/** Keep one worker busy until there are no tasks left: all workers draw from the same iterator. */
async function feed(worker: Worker, tasks: Iterator<HashRequest>, job: HashJob): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let open = 0;
  const next = (): void => {
    const task = tasks.next();
    if (!task.done) {
      open += 1;
      worker.postMessage(task.value);
    } else if (open === 0) resolve();
  };
  const abort = (): void => reject(job.signal?.reason);
  worker.on('message', (answer: HashAnswer) => {
    open -= 1;
    try {
      job.onHashed(answer.index, answer.outcome);
      next();
    } catch (cause) {
      reject(cause);
    }
  });
  worker.on('error', cause => reject(new StarlingError('disk-failed', 'a hashing thread failed', { cause })));
  worker.on('exit', code => reject(new StarlingError('disk-failed', `a hashing thread ended with ${code}`)));
  job.signal?.addEventListener('abort', abort, { once: true });
  try {
    for (let ahead = 0; ahead < config.disk.hashQueueMax; ahead += 1) next();
    await promise;
  } finally {
    job.signal?.removeEventListener('abort', abort);
  }
}
