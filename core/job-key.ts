import type { JobId } from './ids.ts';

/** Where a job's manifest lies in the origin: one key a job, written once. */
export function manifestKey(job: JobId): string {
  return `jobs/${job}/manifest.json`;
}

/**
 * Where a job's bytes lie. `content` is hex that differs with the bytes, so that an upload that was broken off, or of
 * other content, is never taken for this one.
 */
export function bytesKey(job: JobId, content: string): string {
  return `jobs/${job}/data-${content}`;
}
