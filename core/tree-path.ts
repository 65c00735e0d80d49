import { config } from './config.ts';
import { StarlingError } from './errors.ts';

/** What a tree's safety depends on; manifest entries and scanned entries both fit. */
export type TreeEntry =
  | { readonly kind: 'file' | 'directory'; readonly path: string }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string };

/**
 * Check a whole tree, sorted by path: every path is usable below any directory of the receiver and stands there once,
 * every entry's parent is a listed directory (never a file or a symlink), and no symlink leads out of the tree, however
 * it is followed. Throws `unsafe-path`, or `invalid-manifest` for wrong order, doubles and a parent that is not listed.
 */
export function checkTree(entries: readonly TreeEntry[]): void {
  const kinds = new Map<string, TreeEntry['kind']>();
  let before: string | undefined;
  for (const entry of entries) {
    checkPath(entry.path);
    if (before !== undefined && before >= entry.path) throw disorder(entry.path, before);
    checkParent(entry.path, kinds);
    kinds.set(entry.path, entry.kind);
    before = entry.path;
  }
  for (const entry of entries) if (entry.kind === 'symlink') checkTarget(entry.path, entry.target, kinds);
}

/**
 * Throws `unsafe-path` unless `path` is relative, of proper names joined by `/`, and short enough to be written. A
 * backslash is refused too: it parts names on other systems.
 */
export function checkPath(path: string): void {
  const problem = textProblem(path) ?? pathProblem(path);
  if (problem !== undefined) throw unsafe(path, problem);
}

/** Length in UTF-8, which core has no encoder for; `text` is well-formed. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    // A surrogate pair is 2 units and 4 bytes: 2 bytes more for the pair, so 1 for each half.
    if (unit >= 0xd800 && unit <= 0xdfff) length += 1;
    else if (unit >= 0x800) length += 2;
    else if (unit >= 0x80) length += 1;
  }
  return length;
}

function textProblem(text: string): string | undefined {
  if (text === '') return 'is empty';
  if (!text.isWellFormed()) return 'is not valid Unicode';
  if (text.includes('\0')) return 'holds a NUL';
  if (text.includes('\\')) return 'holds a backslash';
  if (utf8Length(text) > config.manifest.pathBytesMax) return `is longer than ${config.manifest.pathBytesMax} bytes`;
  return undefined;
}

function pathProblem(path: string): string | undefined {
  if (path.startsWith('/')) return 'is absolute';
  for (const name of path.split('/')) {
    if (name === '') return 'holds an empty name';
    if (name === '.' || name === '..') return `holds "${name}"`;
    if (utf8Length(name) > config.manifest.nameBytesMax) {
      return `holds a name longer than ${config.manifest.nameBytesMax} bytes`;
    }
  }
  return undefined;
}

function checkParent(path: string, kinds: ReadonlyMap<string, TreeEntry['kind']>): void {
  const parent = path.slice(0, Math.max(path.lastIndexOf('/'), 0));
  if (parent === '') return;
  const kind = kinds.get(parent);
  if (kind === 'directory') return;
  if (kind !== undefined) throw unsafe(path, `lies below the ${kind} ${JSON.stringify(parent)}`);
  // Something further up may be a symlink or a file; if not, a directory was forgotten.
  checkParent(parent, kinds);
  throw new StarlingError('invalid-manifest', `${JSON.stringify(path)} lies in a directory that is not listed`);
}

/**
 * `..` is taken only from directories that are listed, never from a symlink or an unknown name. So each symlink, by
 * itself, leads to a name inside the tree, and by induction a chain of them does.
 */
function checkTarget(path: string, target: string, kinds: ReadonlyMap<string, TreeEntry['kind']>): void {
  const problem = textProblem(target) ?? (target.startsWith('/') ? 'is absolute' : undefined);
  if (problem !== undefined) throw unsafeTarget(path, target, problem);
  const names = path.split('/').slice(0, -1);
  for (const name of target.split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') {
      names.push(name);
      continue;
    }
    if (names.length === 0) throw unsafeTarget(path, target, 'leads out of the tree');
    if (kinds.get(names.join('/')) !== 'directory') {
      throw unsafeTarget(path, target, 'has ".." after a name that is not a directory of the tree');
    }
    names.pop();
  }
}

function unsafe(path: string, problem: string): StarlingError {
  return new StarlingError('unsafe-path', `path ${quoted(path)} ${problem}`, {
    next: 'rename it at the source and publish again',
  });
}

function unsafeTarget(path: string, target: string, problem: string): StarlingError {
  return new StarlingError('unsafe-path', `the target ${quoted(target)} of symlink ${quoted(path)} ${problem}`, {
    next: 'at the source, make it a relative link inside the published directory, or a copy; then publish again',
  });
}

function disorder(path: string, before: string): StarlingError {
  const problem = path === before ? 'stands twice' : `stands after ${quoted(before)}`;
  return new StarlingError('invalid-manifest', `path ${quoted(path)} ${problem}`);
}

/** For a message: one line, whatever the path holds, and not longer than a reader bears. */
function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}
