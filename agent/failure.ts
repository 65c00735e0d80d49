import { CommanderError } from 'commander';
import { StarlingError } from '../core/errors.ts';
import { type ExitCode, exitCodeOf } from './exit-code.ts';

/** A failure in the words of the command line. `code` is an `ErrorCode`, or `unexpected` for what should not happen. */
export type Failure = {
  readonly code: string;
  readonly message: string;
  readonly next: string | undefined;
  readonly exitCode: ExitCode;
  readonly error: unknown;
};

/** Ends a command whose output has said already what is wrong: nothing more is printed. */
export class ReportedFailure extends Error {
  override readonly name = 'ReportedFailure';
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode) {
    super(`exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** `help`: the command line that tells how this one is meant. */
export function failureOf(error: unknown, help: string): Failure {
  if (error instanceof StarlingError) {
    return { code: error.code, message: error.message, next: error.next, exitCode: exitCodeOf(error.code), error };
  }
  if (error instanceof CommanderError) return usageFailure(error, help);
  return {
    code: 'unexpected',
    message: error instanceof Error ? error.message : String(error),
    next: 'this looks like a defect: run it again with STARLING_DEBUG=1 and report what it prints',
    exitCode: 1,
    error,
  };
}

export function failureText(failure: Failure, isDebugging: boolean): string {
  const lines = [`error: ${failure.message}`];
  if (failure.next !== undefined) lines.push(`next: ${failure.next}`);
  if (isDebugging) lines.push(...causeChain(failure.error));
  return `${lines.join('\n')}\n`;
}

export function failureJson(failure: Failure): string {
  const { code, message, next, exitCode } = failure;
  return `${JSON.stringify({ kind: 'error', code, message, next, exitCode })}\n`;
}

function usageFailure(error: CommanderError, help: string): Failure {
  // commander says "error: unknown command 'fetsh'\n(Did you mean fetch?)".
  const [message = '', hint] = error.message.replace(/^error: /, '').split('\n');
  return {
    code: 'usage',
    message,
    next: hint === undefined ? `see ${help}` : `${hint.replace(/^\(|\)$/g, '')} See ${help}`,
    exitCode: 2,
    error,
  };
}

/** The error, what caused it, what caused that: at most 10 deep, for a chain may be a ring. */
function causeChain(error: unknown): readonly string[] {
  const lines: string[] = [];
  let current = error;
  for (let depth = 0; depth < 10 && current !== undefined; depth += 1) {
    const text = current instanceof Error ? (current.stack ?? current.message) : String(current);
    lines.push(depth === 0 ? text : `caused by: ${text}`);
    current = current instanceof Error ? current.cause : undefined;
  }
  return lines;
}
