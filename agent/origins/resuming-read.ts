import type { Readable } from 'node:stream';
import type { StarlingError } from '../../core/errors.ts';
import type { Millis } from '../../core/ids.ts';
import type { Rng } from '../../core/rng.ts';
import { backoffMs, interrupted, type RetryPolicy, throwIfAborted, waitFor } from './attempts.ts';
import type { ByteRange } from './origin.ts';

/** Where the bytes of one range come from, again and again if need be. */
export type RangeSource = {
  /** Ask for what is left; the body must hold just that. Does its own retries, and throws when they are used up. */
  readonly open: (rest: ByteRange, signal: AbortSignal | undefined) => Promise<Readable>;
  /** In the words of the origin: the body broke off (for good), or went on after its end. */
  readonly broken: (cause: unknown) => StarlingError;
  readonly overlong: () => StarlingError;
};

/** As in `config.originRequest`. */
export type ReadLimits = RetryPolicy & { readonly resumesMax: number; readonly idleTimeoutMs: Millis };

/**
 * The bytes of a range, exactly. A body that breaks off, or is silent for `idleTimeoutMs`, is asked for again from the
 * byte where it ended, at most `resumesMax` times, with a pause of full jitter that grows while no byte comes. A
 * consumer that takes its time is never a silent body. Leaving the loop closes the body.
 */
export async function* readResuming(
  range: ByteRange,
  source: RangeSource,
  limits: ReadLimits,
  rng: Rng,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const end = range.offsetBytes + range.lengthBytes;
  let at = range.offsetBytes;
  let fruitless = 0;
  for (let broken = 0; at < end; broken += 1) {
    const from = at;
    const body = await source.open({ offsetBytes: at, lengthBytes: end - at }, signal);
    try {
      for await (const slice of watched(body, limits.idleTimeoutMs, signal)) {
        at += slice.length;
        if (at > end) throw source.overlong();
        yield slice;
      }
      if (at === end) return;
      throw new Error('the body ended before its range did');
    } catch (cause) {
      throwIfAborted(signal);
      if (at > end) throw cause;
      if (at < end && broken >= limits.resumesMax) throw source.broken(cause);
    }
    fruitless = at > from ? 0 : fruitless + 1;
    if (at < end) await waitFor(backoffMs(fruitless, limits, rng), signal);
  }
}

/** The slices of a body; fails when it is silent for too long while somebody waits for it, or on abort. */
async function* watched(
  body: Readable,
  idleTimeoutMs: Millis,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  let isAwaited = true;
  const timer = setTimeout(() => {
    if (isAwaited) body.destroy(new Error(`no byte came for ${idleTimeoutMs} ms`));
  }, idleTimeoutMs);
  const abort = (): void => {
    body.destroy(interrupted(signal?.reason));
  };
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  try {
    for await (const slice of body) {
      isAwaited = false;
      if (!(slice instanceof Uint8Array)) throw new TypeError('a body must be bytes');
      yield slice;
      isAwaited = true;
      timer.refresh();
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    // Without a listener the error of a body that breaks later would end the process.
    body.on('error', ignoreAfterEnd);
    body.destroy();
  }
}

/** Somebody else's end is known by then: the loop is over. */
function ignoreAfterEnd(): void {}
