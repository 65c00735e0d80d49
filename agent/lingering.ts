import { config } from '../core/config.ts';
import type { Linger } from './fetch.ts';

/** The wait between being in place and saying goodbye. */
export class Lingering {
  readonly #linger: Linger;
  /** Whether nobody we know still lacks a chunk. */
  readonly #isQuiet: () => boolean;

  constructor(linger: Linger, isQuiet: () => boolean) {
    this.#linger = linger;
    this.#isQuiet = isQuiet;
  }

  /** Resolves when it is over: by the clock, by quiet, or because we are asked to leave. */
  end(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timers: NodeJS.Timeout[] = [];
    const lengthMs = this.#linger.kind === 'for' ? this.#linger.lengthMs : config.linger.quietMsMax;
    if (signal.aborted || lengthMs <= 0) return Promise.resolve();
    // `forever` is Infinity: then only the signal ends it; something must keep the process alive meanwhile.
    timers.push(setTimer(resolve, lengthMs));
    if (this.#linger.kind === 'until-quiet') timers.push(this.#watchQuiet(resolve));
    signal.addEventListener('abort', () => resolve(), { once: true });
    return promise.finally(() => {
      for (const timer of timers) clearTimeout(timer);
    });
  }

  #watchQuiet(resolve: () => void): NodeJS.Timeout {
    let quietChecks = 0;
    return setInterval(() => {
      quietChecks = this.#isQuiet() ? quietChecks + 1 : 0;
      if (quietChecks >= config.linger.quietChecks) resolve();
    }, config.linger.quietCheckMs);
  }
}

/** setTimeout takes no more than a 32-bit count of milliseconds; more than 24 days is as good as for ever. */
function setTimer(run: () => void, lengthMs: number): NodeJS.Timeout {
  const longestMs = 2 ** 31 - 1;
  if (lengthMs > longestMs) return setInterval(() => undefined, longestMs);
  return setTimeout(run, lengthMs);
}
