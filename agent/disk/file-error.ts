import { type ErrorCode, type ErrorDetail, StarlingError } from '../../core/errors.ts';

/** The system's name of a failure, `ENOENT` and the like; `undefined` if it is not the system's. */
export function errnoOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !('code' in cause)) return undefined;
  return typeof cause.code === 'string' ? cause.code : undefined;
}

/**
 * What a failed file operation means for a job being received or served: `disk-full` or `disk-failed`. A StarlingError
 * is passed on as it is: it says more.
 */
export function diskError(operation: string, path: string, cause: unknown): StarlingError {
  if (cause instanceof StarlingError) return cause;
  const errno = errnoOf(cause);
  if (errno === 'ENOSPC' || errno === 'EDQUOT') {
    const reason = errno === 'ENOSPC' ? 'no space left on the device' : 'the disk quota is used up';
    return new StarlingError('disk-full', `cannot ${operation} ${path}: ${reason}`, {
      next: 'free some space and run the same command again: what is verified is kept',
      cause,
    });
  }
  return fileError('disk-failed', `cannot ${operation} ${path}`, cause, {
    next: 'check the disk and its permissions, then run the same command again: what is verified is kept',
  });
}

/** A StarlingError of another code, with the system's reason at the end of its message. */
export function fileError(code: ErrorCode, message: string, cause: unknown, detail: ErrorDetail): StarlingError {
  const reason = cause instanceof Error ? (errnoOf(cause) ?? cause.message) : String(cause);
  return new StarlingError(code, `${message}: ${reason}`, { ...detail, cause });
}

/** The result of a file operation, or `undefined` if what it is about does not exist. */
export async function ifExists<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (cause) {
    // ENOTDIR: a file stands where a directory of the path should.
    const errno = errnoOf(cause);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    throw cause;
  }
}
