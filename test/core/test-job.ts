import { type AnnounceOutcome, JobTracker, type Locality, shapeOf } from '../../core/announce-answer.ts';
import { seededRng } from '../../core/rng.ts';
import type { AnnounceAnswer } from '../../core/tracker-message.ts';
import { type AnnounceDraft, announceOf } from './announce-of.ts';

/** Checking costs O(agents x chunks): enough for every story, not for a crowd. */
const CHECKED_WORDS = 100;

/** One job's tracker, spoken to in short. Its invariants are checked after each of its first words. */
export class TestJob {
  readonly #rng = seededRng(1);
  readonly #tracker: JobTracker;
  #words = 0;

  constructor(locality: Locality = 'zone') {
    this.#tracker = new JobTracker(shapeOf(announceOf('any')), locality, 0);
  }

  hear(agentId: string, now: number, draft: AnnounceDraft = {}): AnnounceOutcome {
    const outcome = this.#tracker.answer(announceOf(agentId, draft), now, this.#rng);
    this.#words += 1;
    if (this.#words <= CHECKED_WORDS) this.#tracker.assertInvariants();
    return outcome;
  }

  say(agentId: string, now: number, draft: AnnounceDraft = {}): AnnounceAnswer {
    const outcome = this.hear(agentId, now, draft);
    if (outcome.kind !== 'answered') throw new Error(`${agentId} was refused: ${outcome.kind}`);
    return outcome.answer;
  }

  chunksOf(agentId: string, now: number, draft: AnnounceDraft = {}): readonly number[] {
    return this.say(agentId, now, draft).leases.map(({ chunk }) => chunk);
  }

  status(now: number): ReturnType<JobTracker['status']> {
    return this.#tracker.status(now);
  }
}
