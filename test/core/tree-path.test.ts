import { posix } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkPath, checkTree, type TreeEntry, utf8Length } from '../../core/tree-path.ts';

const unsafe = expect.objectContaining({ code: 'unsafe-path' });

test.each(['a', 'a/b/c', '...', '..a', 'a..', '.hidden/.x', 'with space/и снег/🐦', '-rf', 'a\nb', 'x'.repeat(255)])(
  '%j is a usable path',
  path => {
    expect(() => checkPath(path)).not.toThrow();
  },
);

test.each([
  '',
  '/',
  '/etc/passwd',
  '..',
  '.',
  '../a',
  'a/../b',
  'a/..',
  'a/./b',
  'a//b',
  'a/',
  'a\0b',
  'a\\b',
  '..\\a',
  'C:\\x',
  '\ud800',
  'x'.repeat(256),
  'é'.repeat(128),
  `${'a/'.repeat(2048)}a`,
])('%j is refused as unsafe', path => {
  expect(() => checkPath(path)).toThrow(unsafe);
});

test('no string leads out of a directory it is joined to', () => {
  const pieces = fc.array(fc.constantFrom('..', '.', '/', 'a', '', '\\', '\0', '..a', '//'), { maxLength: 8 });
  fc.assert(
    fc.property(
      fc.oneof(
        pieces.map(parts => parts.join('')),
        fc.string(),
      ),
      path => {
        try {
          checkPath(path);
        } catch {
          return;
        }
        expect(posix.join('/root/dest', path)).toBe(`/root/dest/${path}`);
      },
    ),
  );
});

test('the length of a text in UTF-8 is counted as an encoder would', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 50 }), text => {
      expect(utf8Length(text)).toBe(Buffer.byteLength(text));
    }),
  );
});

function link(path: string, target: string): TreeEntry {
  return { kind: 'symlink', path, target };
}
function file(path: string): TreeEntry {
  return { kind: 'file', path };
}
function dir(path: string): TreeEntry {
  return { kind: 'directory', path };
}

test.each<[string, TreeEntry[]]>([
  ['points to a sibling', [file('a'), link('b', 'a')]],
  ['climbs within the tree', [dir('a'), dir('a/b'), link('a/b/c', '../../x')]],
  ['leads to the root itself', [dir('a'), link('a/b', '..')]],
  ['leads nowhere', [link('a', 'not/there')]],
  ['climbs from a listed directory', [dir('a'), dir('b'), link('c', 'a/../b')]],
  ['goes through another symlink', [dir('a'), link('b', 'a'), link('c', 'b/x')]],
])('a symlink is kept that %s', (_, entries) => {
  expect(() => checkTree(entries)).not.toThrow();
});

test.each<[string, TreeEntry[]]>([
  ['is absolute', [link('a', '/etc/passwd')]],
  ['is empty', [link('a', '')]],
  ['leads one up', [link('a', '..')]],
  ['leads beside the tree', [dir('a'), link('a/b', '../../x')]],
  ['climbs further than it went down', [dir('a'), link('b', 'a/../..')]],
  ['climbs out of another symlink', [dir('a'), link('a/l', '..'), link('x', 'a/l/../y')]],
  ['climbs out of an unknown name', [link('x', 'unknown/../y')]],
])('a symlink is refused whose target %s', (_, entries) => {
  expect(() => checkTree(entries)).toThrow(unsafe);
});

test('nothing may lie below a symlink or a file', () => {
  expect(() => checkTree([link('a', 'b'), file('a/x'), dir('b')])).toThrow(unsafe);
  expect(() => checkTree([link('a', 'b'), file('a/x/y'), dir('b')])).toThrow(unsafe);
  expect(() => checkTree([file('a'), file('a/x')])).toThrow(unsafe);
});

test('a directory that is not listed, a path that stands twice and a wrong order are refused', () => {
  const invalid = expect.objectContaining({ code: 'invalid-manifest' });

  expect(() => checkTree([file('a/b')])).toThrow(invalid);
  expect(() => checkTree([file('a'), dir('a')])).toThrow(invalid);
  expect(() => checkTree([file('b'), file('a')])).toThrow(invalid);
});
