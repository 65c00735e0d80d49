import { unreachable } from '../core/assert.ts';
import type { ErrorCode } from '../core/errors.ts';

/** 0 done, 1 anything not below, 2 usage, 3 origin or tracker, 4 integrity, 5 disk, 130 interrupted (as shells count SIGINT). */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5 | 130;

export function exitCodeOf(code: ErrorCode): ExitCode {
  switch (code) {
    case 'usage':
    case 'invalid-job-id':
      return 2;
    case 'origin-unreachable':
    case 'origin-refused':
    case 'tracker-unreachable':
    case 'tracker-refused':
      return 3;
    case 'invalid-manifest':
    case 'unsafe-path':
    case 'source-changed':
    case 'origin-corrupt':
    case 'integrity':
      return 4;
    case 'source-unreadable':
    case 'disk-full':
    case 'destination-unwritable':
    case 'destination-occupied':
    case 'destination-locked':
    case 'disk-failed':
      return 5;
    case 'interrupted':
      return 130;
    // The command was right and the machines were well, but the answer is no.
    case 'unknown-job':
    case 'job-exists':
    case 'invalid-message':
    case 'port-in-use':
      return 1;
    default:
      return unreachable(code);
  }
}
