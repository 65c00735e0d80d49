import { CommanderError } from 'commander';
import { describe, expect, test } from 'vitest';
import { exitCodeOf } from '../../agent/exit-code.ts';
import { failureJson, failureOf, failureText } from '../../agent/failure.ts';
import { type ErrorCode, StarlingError } from '../../core/errors.ts';

describe('exit codes', () => {
  // The record must name every code, so that a new one is given a thought here too.
  const expected: Record<ErrorCode, number> = {
    usage: 2,
    'invalid-job-id': 2,
    'origin-unreachable': 3,
    'origin-refused': 3,
    'tracker-unreachable': 3,
    'tracker-refused': 3,
    'invalid-manifest': 4,
    'unsafe-path': 4,
    'source-changed': 4,
    'origin-corrupt': 4,
    integrity: 4,
    'source-unreadable': 5,
    'disk-full': 5,
    'destination-unwritable': 5,
    'destination-occupied': 5,
    'destination-locked': 5,
    'disk-failed': 5,
    interrupted: 130,
    'unknown-job': 1,
    'job-exists': 1,
    'invalid-message': 1,
    'port-in-use': 1,
  };

  test.each(Object.entries(expected))('%s ends with %d', (code, exitCode) => {
    const known = Object.keys(expected).find((key): key is ErrorCode => key === code);

    expect(known && exitCodeOf(known)).toBe(exitCode);
  });
});

describe('a failure', () => {
  const error = new StarlingError('disk-full', 'no room for chunk 7', {
    next: 'free 3 GiB',
    cause: new Error('ENOSPC', { cause: new Error('the disk') }),
  });

  test('is told in two lines: what failed, and what to do', () => {
    expect(failureText(failureOf(error, 'agent --help'), false)).toBe('error: no room for chunk 7\nnext: free 3 GiB\n');
  });

  test('shows its stack and its causes when debugging', () => {
    const text = failureText(failureOf(error, 'agent --help'), true);

    expect(text).toMatch(/StarlingError: no room for chunk 7\n\s+at /);
    expect(text).toMatch(/caused by: Error: ENOSPC.*caused by: Error: the disk/s);
  });

  test('is one JSON object for machines', () => {
    expect(JSON.parse(failureJson(failureOf(error, 'agent --help')))).toEqual({
      kind: 'error',
      code: 'disk-full',
      message: 'no room for chunk 7',
      next: 'free 3 GiB',
      exitCode: 5,
    });
  });

  test('of the command line is a usage failure with its hint', () => {
    const failure = failureOf(
      new CommanderError(1, 'commander.unknownOption', "error: unknown option '--lingr'\n(Did you mean --linger?)"),
      'agent fetch --help',
    );

    expect(failure).toMatchObject({ code: 'usage', exitCode: 2, message: "unknown option '--lingr'" });
    expect(failure.next).toBe('Did you mean --linger? See agent fetch --help');
  });

  test('that nobody foresaw is called a defect, with exit code 1', () => {
    expect(failureOf(new TypeError('x is not a function'), 'agent --help')).toMatchObject({
      code: 'unexpected',
      exitCode: 1,
    });
    expect(failureOf('thrown text', 'agent --help')).toMatchObject({ message: 'thrown text', exitCode: 1 });
  });
});
