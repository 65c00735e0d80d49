import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import { checkPath, utf8Length } from '../../core/tree-path.ts';

/** Names in an origin's directory that begin so are ours: staged files, never objects. */
export const RESERVED_PREFIX = '.starling-';

/**
 * Throws `origin-refused` unless the key is names joined by `/` that every kind of origin can hold: no empty name, no
 * `.` or `..`, no NUL or backslash, no name of ours, at most `manifest.keyBytesMax` bytes.
 */
export function checkObjectKey(key: string): void {
  try {
    checkPath(key);
  } catch (cause) {
    throw refusal(key, cause instanceof Error ? cause.message : String(cause));
  }
  if (utf8Length(key) > config.manifest.keyBytesMax) {
    throw refusal(key, `it is longer than ${config.manifest.keyBytesMax} bytes`);
  }
  if (key.split('/').some(name => name.startsWith(RESERVED_PREFIX))) {
    throw refusal(key, `names that begin with ${RESERVED_PREFIX} are kept for staged files`);
  }
}

/** The key as it stands in a URL: every name percent-encoded, `/` between them. */
export function encodeObjectKey(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/');
}

/**
 * Back from a URL's path, undone once and name by name, so that `%2f` stays inside its name and is refused there, as
 * `%2e%2e` is. Throws `origin-refused`.
 */
export function decodeObjectKey(path: string): string {
  const names = path.split('/').map(name => decodeName(name, path));
  if (names.some(name => name.includes('/'))) throw refusal(path, 'a name holds an encoded slash');
  const key = names.join('/');
  checkObjectKey(key);
  return key;
}

function decodeName(name: string, path: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    // URIError: a lone % or bytes that are not UTF-8.
    throw refusal(path, 'it is not well percent-encoded');
  }
}

function refusal(key: string, why: string): StarlingError {
  return new StarlingError('origin-refused', `object key ${JSON.stringify(key.slice(0, 200))} is not usable: ${why}`, {
    next: 'use a relative key of plain names joined by "/"',
  });
}
