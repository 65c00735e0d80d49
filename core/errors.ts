/**
 * Every failure that a user or an operator may meet, by a name that stays the same between versions.
 * docs/OPERATIONS.md has a line for each; agent/exit-code.ts maps each to the exit code of the command.
 */
export type ErrorCode =
  | 'usage'
  | 'invalid-job-id'
  | 'invalid-manifest'
  | 'invalid-message'
  | 'unsafe-path'
  | 'unknown-job'
  | 'job-exists'
  | 'source-changed'
  | 'source-unreadable'
  | 'origin-unreachable'
  | 'origin-refused'
  | 'tracker-unreachable'
  | 'tracker-refused'
  | 'origin-corrupt'
  | 'integrity'
  | 'disk-full'
  | 'destination-unwritable'
  | 'destination-occupied'
  | 'destination-locked'
  | 'disk-failed'
  | 'port-in-use'
  | 'interrupted';

export type ErrorDetail = {
  /** What the reader can do about it; one sentence in the imperative, no full stop. */
  readonly next?: string;
  readonly cause?: unknown;
};

/** The one error class. `message` says what failed (with the ids needed to act), `next` what to do about it. */
export class StarlingError extends Error {
  override readonly name = 'StarlingError';
  readonly code: ErrorCode;
  readonly next: string | undefined;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.next = detail.next;
  }
}
