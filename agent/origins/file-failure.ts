import { StarlingError } from '../../core/errors.ts';

const MISSING = new Set(['ENOENT', 'ENOTDIR', 'EISDIR']);
const FULL = new Set(['ENOSPC', 'EDQUOT']);
const FORBIDDEN = new Set(['EACCES', 'EPERM', 'EROFS']);
const UNUSABLE = new Set(['EEXIST', 'ENAMETOOLONG', 'ELOOP']);
const NO_LINKS = new Set(['EOPNOTSUPP', 'ENOTSUP', 'EMLINK', 'EXDEV']);

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The path, or a directory on the way to it, is not there, or is of another kind: there is no such object. */
export function isMissing(error: unknown): boolean {
  return MISSING.has(errorCode(error) ?? '');
}

/** In the words of an origin: what no later try mends is `origin-refused`, a full disk `disk-full`, the rest (EIO, ESTALE, EMFILE) `origin-unreachable`. */
export function fileFailure(cause: unknown, what: string): unknown {
  const code = errorCode(cause);
  // Not of a file: of the caller, or a defect of ours. It goes on as it is.
  if (cause instanceof StarlingError || code === undefined) return cause;
  if (FULL.has(code)) {
    return new StarlingError('disk-full', `${what}: no space left (${code})`, {
      next: "free space on the origin's file system, then try again",
      cause,
    });
  }
  if (FORBIDDEN.has(code)) {
    return new StarlingError('origin-refused', `${what}: not permitted (${code})`, {
      next: "let this user read the origin's directory, and write to it to publish",
      cause,
    });
  }
  if (NO_LINKS.has(code)) {
    return new StarlingError('origin-refused', `${what}: the file system cannot make hard links (${code})`, {
      next: "put the origin's directory on a file system with hard links, such as ext4 or xfs",
      cause,
    });
  }
  if (MISSING.has(code) || UNUSABLE.has(code)) {
    return new StarlingError('origin-refused', `${what}: the path cannot be used (${code})`, {
      next: 'check that no object lies where a directory is needed, and that names are not too long',
      cause,
    });
  }
  return new StarlingError('origin-unreachable', `${what} failed (${code})`, {
    next: "check the disk or mount that holds the origin's directory",
    cause,
  });
}
