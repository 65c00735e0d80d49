import process from 'node:process';
import { StarlingError } from '../core/errors.ts';

export type Interruption = {
  /** Aborted, with an `interrupted` error, by the first SIGINT, SIGTERM or lost reader; the run then ends itself in its own order. */
  readonly signal: AbortSignal;
  /** Back to the defaults of the process. */
  end(): void;
};

/**
 * The first signal asks, the second one insists: the process then exits at once with 130. A parent that spawned us with
 * an IPC channel and died counts as a signal too, so that no agent of a killed demo lives on; so does a closed stdout.
 */
export function listenForInterruption(): Interruption {
  const controller = new AbortController();
  const abort = (): void => controller.abort(interrupted());
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(130);
    abort();
  };
  const lostReader = (error: NodeJS.ErrnoException): void => {
    if (error.code === 'EPIPE') abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  process.on('disconnect', abort);
  process.stdout.on('error', lostReader);
  // The channel is there to be watched, not to keep a finished run alive.
  process.channel?.unref();
  return {
    signal: controller.signal,
    end: () => {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
      process.off('disconnect', abort);
      process.stdout.off('error', lostReader);
    },
  };
}

function interrupted(): StarlingError {
  return new StarlingError('interrupted', 'interrupted', {
    next: 'run the same command again when you are ready',
  });
}
