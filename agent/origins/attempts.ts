import { setTimeout as pause } from 'node:timers/promises';
import { StarlingError } from '../../core/errors.ts';
import type { Millis } from '../../core/ids.ts';
import type { Rng } from '../../core/rng.ts';

export type RetryPolicy = { readonly triesMax: number; readonly retryMs: Millis; readonly retryMsMax: Millis };

/** What one try came to. What no later try mends is thrown instead. */
export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'again'; readonly error: StarlingError; readonly retryAfterMs: Millis | undefined };

/**
 * Try until it is done, at most `triesMax` times; then throws the error of the last try. In between it waits what the
 * other side asked for plus full jitter: 0..retryMs x 2^n (exponential backoff and jitter, AWS Architecture Blog).
 */
export async function withRetries<T>(
  attempt: (tryIndex: number) => Promise<Outcome<T>>,
  policy: RetryPolicy,
  rng: Rng,
  signal: AbortSignal | undefined,
): Promise<T> {
  for (let tryIndex = 0; ; tryIndex += 1) {
    throwIfAborted(signal);
    const outcome = await attempt(tryIndex);
    if (outcome.kind === 'done') return outcome.value;
    if (tryIndex + 1 >= policy.triesMax) throw outcome.error;
    await waitFor((outcome.retryAfterMs ?? 0) + backoffMs(tryIndex, policy, rng), signal);
  }
}

export function backoffMs(failures: number, policy: RetryPolicy, rng: Rng): Millis {
  return rng.below(Math.min(policy.retryMsMax, policy.retryMs * 2 ** failures) + 1);
}

/** Throws `interrupted` as soon as the signal says so. */
export async function waitFor(lengthMs: Millis, signal: AbortSignal | undefined): Promise<void> {
  try {
    await pause(lengthMs, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    // AbortError is all that a pause can throw.
    throw interrupted(cause);
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw interrupted(signal.reason);
}

export function interrupted(cause: unknown): StarlingError {
  return new StarlingError('interrupted', 'the request to the origin was interrupted', { cause });
}
