import type { JobId } from '../../core/ids.ts';
import type { Work } from './work-picture.ts';

/** Remembers how far the phases of a piece of work have come, and when the present one began. */
export class WorkMeter {
  readonly #job: JobId;
  #phase: string;
  #doneBytes = 0;
  #totalBytes = 0;
  #phaseBeganAt = performance.now();

  constructor(job: JobId, phase: string) {
    this.#job = job;
    this.#phase = phase;
  }

  note(phase: string, doneBytes: number, totalBytes: number): void {
    if (phase !== this.#phase) this.#phaseBeganAt = performance.now();
    this.#phase = phase;
    this.#doneBytes = doneBytes;
    this.#totalBytes = totalBytes;
  }

  work(): Work {
    return {
      job: this.#job,
      phase: this.#phase,
      doneBytes: this.#doneBytes,
      totalBytes: this.#totalBytes,
      elapsedMs: Math.round(performance.now() - this.#phaseBeganAt),
    };
  }
}
