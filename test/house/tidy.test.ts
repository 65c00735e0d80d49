import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  banFaults,
  importFaults,
  importsOf,
  lengthFaults,
  machineFaults,
  markFaults,
  nameFaults,
  ROOMS,
  type Source,
} from './house-rules.ts';

const TOP = join(import.meta.dirname, '..', '..');
const OWN_FILES = ['test/house/house-rules.ts', 'test/house/tidy.test.ts'];
const sources = ROOMS.flatMap(room => sourcesUnder(room));

type Lock = { readonly packages: Record<string, { readonly optionalDependencies?: Record<string, string> }> };

describe('the house rules see a breach', () => {
  test.each([
    ['core/x.ts', "import { readFile } from 'node:fs/promises';"],
    ['core/x.ts', "import type { Origin } from '../agent/origins/origin.ts';"],
    ['core/x.ts', "export { something } from '../tracker/something.ts';"],
    ['tracker/x.ts', "const late = await import('../agent/fetch.ts');"],
    ['agent/fetch.ts', "import { TrackerService } from '../tracker/tracker-service.ts';"],
    ['agent/fetch.ts', "import { run } from '../test/agent/run.ts';"],
    ['lambdas/x.ts', "import {\n  something,\n  more,\n} from '../agent/fetch.ts';"],
    ['sim/x.ts', "import '../agent/fetch.ts';"],
  ])('%s may not hold %s', (path, text) => {
    expect(importFaults({ path, text })).toHaveLength(1);
  });

  test.each([
    ['core/x.ts', "import * as z from 'zod/mini';\nimport { assert } from './assert.ts';"],
    ['agent/embedded-origin.ts', "import { TrackerService } from '../tracker/tracker-service.ts';"],
    ['test/core/x.test.ts', "import { readFileSync } from 'node:fs';\nimport { x } from '../../agent/fetch.ts';"],
  ])('%s may hold %s', (path, text) => {
    expect(importFaults({ path, text })).toEqual([]);
  });

  test('an import is found in each of its forms', () => {
    const text = "import a from 'a';\nexport * from 'b';\nimport 'c';\nlet d = import('d');\n// from 'e'\n";

    expect([...importsOf(text)].sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  test.each([
    ['core/x.ts', 'export const now = Date.now();'],
    ['sim/x.ts', 'setTimeout(() => 0, 5);'],
    ['core/x.ts', 'export const die = () => Math.random();'],
    ['agent/fetch.ts', 'export const die = () => Math.random();'],
  ])('%s may not call %s', (path, text) => {
    expect(banFaults({ path, text })).toHaveLength(1);
  });

  test('a comment may name what is banned', () => {
    expect(banFaults({ path: 'core/x.ts', text: '// never Math.random or Date.now\nexport const one = 1;' })).toEqual(
      [],
    );
  });

  test.each(['core/string-utils.ts', 'agent/peer-manager.ts', 'agent/data.ts', 'agent/camelCase.ts'])(
    '%s is no file name',
    path => {
      expect(nameFaults(path)).toHaveLength(1);
    },
  );

  test('a function of 61 lines is too long', () => {
    const folder = mkdtempSync(join(tmpdir(), 'starling-tidy-'));
    try {
      const long = join(folder, 'long.ts');
      writeFileSync(long, `export function long(): void {\n${'  console.log(1);\n'.repeat(61)}}\n`);

      expect(lintFunctionLengths(long)).toMatchObject({ status: 1 });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('a file of 401 lines is too long', () => {
    expect(lengthFaults({ path: 'core/x.ts', text: 'x\n'.repeat(401) })).toHaveLength(1);
    expect(lengthFaults({ path: 'core/x.ts', text: 'x\n'.repeat(400) })).toEqual([]);
  });
});

describe('the whole tree', () => {
  test('has sources in every room that exists', () => {
    expect(sources.length).toBeGreaterThan(20);
  });

  test('imports only in the directions of the design', () => {
    expect(sources.flatMap(importFaults)).toEqual([]);
  });

  test('decides without clock, timers and dice', () => {
    expect(sources.filter(isOther).flatMap(banFaults)).toEqual([]);
  });

  test('holds no leftovers and no folders of one machine', () => {
    expect(sources.filter(isOther).flatMap(markFaults)).toEqual([]);
    expect(sources.filter(isOther).flatMap(machineFaults)).toEqual([]);
  });

  test('has files of a readable length', () => {
    expect(sources.flatMap(lengthFaults)).toEqual([]);
  });

  test('names files by their nouns', () => {
    expect(sources.flatMap(({ path }) => nameFaults(path))).toEqual([]);
  });

  test('has functions of a readable length', () => {
    const rooms = ROOMS.filter(room => room !== 'test' && existsSync(join(TOP, room)));

    expect(lintFunctionLengths(...rooms)).toMatchObject({
      status: 0,
      checked: expect.stringMatching(/Checked \d+ files/),
    });
  });

  test('locks its packages to no registry but the public one', () => {
    const lock = readFileSync(join(TOP, 'package-lock.json'), 'utf8');
    const hosts = new Set([...lock.matchAll(/"resolved": "(\w+:\/\/[^/]+)\//g)].map(match => match[1]));

    expect([...hosts].filter(host => host !== 'https://registry.npmjs.org')).toEqual([]);
  });

  test('locks the packages of every platform: npm ci refuses a lock that lacks one', () => {
    const lock: Lock = JSON.parse(readFileSync(join(TOP, 'package-lock.json'), 'utf8'));
    const wanted = Object.values(lock.packages).flatMap(({ optionalDependencies = {} }) =>
      Object.keys(optionalDependencies),
    );

    expect(wanted.filter(name => lock.packages[`node_modules/${name}`] === undefined)).toEqual([]);
  });

  test('tells no folders of one machine in its documents', () => {
    const documents = execFileSync('git', ['ls-files', '*.md', '*.json', '.ci/*'], { cwd: TOP, encoding: 'utf8' })
      .split('\n')
      .filter(path => path !== '' && existsSync(join(TOP, path)))
      .map(path => ({ path, text: readFileSync(join(TOP, path), 'utf8') }));

    expect(documents.flatMap(machineFaults)).toEqual([]);
  });
});

function lintFunctionLengths(...paths: readonly string[]): {
  readonly status: number | null;
  readonly checked: string;
} {
  const biome = join(TOP, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  const config = join(TOP, 'test', 'house', 'function-length.json');
  const args = [biome, 'lint', `--config-path=${config}`, ...paths];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: TOP, encoding: 'utf8' });
  return { status, checked: stdout + stderr };
}

function isOther({ path }: Source): boolean {
  return !OWN_FILES.includes(path);
}

function sourcesUnder(room: string): readonly Source[] {
  const folder = join(TOP, room);
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('node_modules'))
    .map(entry => join(entry.parentPath, entry.name))
    .map(file => ({
      path: file
        .slice(TOP.length + 1)
        .split(sep)
        .join('/'),
      text: readFileSync(file, 'utf8'),
    }));
}
