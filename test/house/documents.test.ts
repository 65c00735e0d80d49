import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const TOP = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(TOP, path), 'utf8');

describe('the documents', () => {
  it('have a line in OPERATIONS for every error code, and for no other', () => {
    const union = /export type ErrorCode =([^;]+);/.exec(read('core/errors.ts'))?.[1] ?? '';
    const codes = [...union.matchAll(/'([a-z-]+)'/g)].map(match => match[1]);
    const table = read('docs/OPERATIONS.md').split('## Watching')[0] ?? '';
    const rows = table.split('\n').filter(line => line.startsWith('| `'));
    const explained = rows.flatMap(row =>
      [...(row.split('|')[1] ?? '').matchAll(/`([a-z-]+)`/g)].map(match => match[1]),
    );

    expect([...explained].sort()).toEqual([...codes].sort());
  });

  it('have no link that leads nowhere', () => {
    for (const path of [
      'README.md',
      'docs/ARCHITECTURE.md',
      'docs/PROTOCOL.md',
      'docs/OPERATIONS.md',
      'docs/SECURITY.md',
    ]) {
      for (const [, target = ''] of read(path).matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
        if (target.includes('://')) continue;
        expect(() => readFileSync(join(TOP, path, '..', target)), `${path}: ${target}`).not.toThrow(/ENOENT/);
      }
    }
  });
});
