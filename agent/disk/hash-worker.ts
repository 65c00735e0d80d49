import { parentPort } from 'node:worker_threads';
import { assert } from '../../core/assert.ts';
import { type FileSpan, type HashOutcome, SpanHasher } from './span-hasher.ts';

/** What a hashing thread is asked, and what it answers. */
export type HashRequest = { readonly index: number; readonly spans: readonly FileSpan[] };
export type HashAnswer = { readonly index: number; readonly outcome: HashOutcome };

assert(parentPort !== null, 'hash-worker.ts is run as a thread');
const port = parentPort;
const hasher = new SpanHasher();
port.on('message', (request: HashRequest) => {
  const answer: HashAnswer = { index: request.index, outcome: hasher.hash(request.spans) };
  port.postMessage(answer);
});
