import { transformSync } from 'esbuild';

/** One source file, its path relative to the top and with `/`. */
export type Source = { readonly path: string; readonly text: string };

export const ROOMS = ['core', 'tracker', 'agent', 'lambdas', 'cdk', 'sim', 'bench', 'test'] as const;
export type Room = (typeof ROOMS)[number];

const FILE_LINES_MAX = 400;

/** Which rooms and which packages a room may import (design section 2). `node` stands for node's own modules. */
const MAY_IMPORT: Record<Room, { readonly rooms: readonly Room[]; readonly packages: 'any' | readonly string[] }> = {
  core: { rooms: ['core'], packages: ['zod'] },
  tracker: { rooms: ['core', 'tracker'], packages: 'any' },
  agent: { rooms: ['core', 'agent'], packages: 'any' },
  lambdas: { rooms: ['core', 'tracker', 'lambdas'], packages: 'any' },
  cdk: { rooms: ['cdk'], packages: 'any' },
  sim: { rooms: ['core', 'tracker', 'sim'], packages: 'any' },
  bench: { rooms: [...ROOMS], packages: 'any' },
  test: { rooms: [...ROOMS], packages: 'any' },
};

/** The doors in the walls: files that may import one thing more, as a prefix of its path. */
const DOORS: readonly { readonly from: string; readonly to: string }[] = [
  { from: 'agent/embedded-origin.ts', to: 'tracker/' },
  { from: 'agent/commands/simulate.ts', to: 'sim/' },
  { from: 'cdk/', to: 'lambdas/env.ts' },
];

type Ban = {
  readonly word: RegExp;
  readonly rooms: readonly Room[];
  readonly instead: string;
};

const PURE: readonly Room[] = ['core', 'sim'];
const BANS: readonly Ban[] = [
  { word: /\bDate\.now\b/, rooms: PURE, instead: 'take `now: Millis` as an argument' },
  { word: /\bnew Date\b/, rooms: PURE, instead: 'take `now: Millis` as an argument' },
  { word: /\bperformance\b/, rooms: PURE, instead: 'take `now: Millis` as an argument' },
  { word: /\bset(Timeout|Interval|Immediate)\b/, rooms: PURE, instead: 'give the moment out through `nextDeadline()`' },
  {
    word: /\bMath\.random\b/,
    rooms: ROOMS,
    instead: 'take `rng: Rng`; where a run begins, seed one by `seededRng(randomInt(2 ** 32))`',
  },
];

/** Words that must not stand anywhere in a file, comments and strings included. */
const MARKS: readonly { readonly mark: RegExp; readonly instead: string }[] = [
  { mark: /\bFIXME\b/, instead: 'mend it now, or write a TODO with its owner and its condition' },
  { mark: /\bas any\b/, instead: 'parse it, or name its type' },
  { mark: /\b(it|test|describe)\.only\(/, instead: 'run one file with `npx vitest run <file>` instead' },
  { mark: /@ts-(ignore|nocheck|expect-error)/, instead: 'give the compiler the type it asks for' },
];

/** Folders of one machine, and hosts of one network. */
const MACHINE_WORDS = /(^|[\s"'`(=:])(\/home\/|\/root\/|\/Users\/|\/work\/|[A-Z]:\\Users\\)/;

const DRAWERS = /(^|[-_.])(utils?|helpers?|manager|data|info|misc|common)([-_.]|$)/;
const KEBAB_CASE = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|property\.test|config|d))?\.ts$/;

export function roomOf(path: string): Room | undefined {
  return ROOMS.find(room => path.startsWith(`${room}/`));
}

/** What may not be imported, one line each. */
export function importFaults({ path, text }: Source): readonly string[] {
  const room = roomOf(path);
  if (room === undefined) return [];
  return importsOf(text).flatMap(specifier => {
    const fault = specifier.startsWith('.')
      ? roomFault(room, path, resolved(path, specifier))
      : packageFault(room, specifier);
    return fault === undefined ? [] : [`${path} imports ${specifier}: ${fault}`];
  });
}

/** Every module that a file names: static, type-only, re-exported and dynamic. */
export function importsOf(text: string): readonly string[] {
  // The formatter puts static imports at the start of a line, so that no string or comment is taken for one.
  const statics = text.matchAll(/^(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm);
  const bare = text.matchAll(/^import\s*['"]([^'"]+)['"]/gm);
  const dynamics = text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g);
  return [...statics, ...bare, ...dynamics].flatMap(match => (match[1] === undefined ? [] : [match[1]]));
}

export function banFaults({ path, text }: Source): readonly string[] {
  const room = roomOf(path);
  const bans = BANS.filter(ban => room !== undefined && ban.rooms.includes(room));
  if (bans.length === 0) return [];
  const code = withoutComments(text);
  return bans
    .filter(ban => ban.word.test(code))
    .map(ban => `${path}:${lineOf(text, ban.word)} has ${ban.word.source}: ${ban.instead}`);
}

export function markFaults({ path, text }: Source): readonly string[] {
  return MARKS.filter(({ mark }) => mark.test(text)).map(
    ({ mark, instead }) => `${path}:${lineOf(text, mark)} has ${mark.source}: ${instead}`,
  );
}

/** Tests are free to use such paths as examples. */
export function machineFaults({ path, text }: Source): readonly string[] {
  if (roomOf(path) === 'test' || !MACHINE_WORDS.test(text)) return [];
  return [`${path}:${lineOf(text, MACHINE_WORDS)} names a folder of one machine: use a relative path`];
}

export function lengthFaults({ path, text }: Source): readonly string[] {
  const lines = text.split('\n').length - 1;
  return lines > FILE_LINES_MAX ? [`${path} has ${lines} lines, ${FILE_LINES_MAX} at most: cut it by its nouns`] : [];
}

export function nameFaults(path: string): readonly string[] {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (DRAWERS.test(name.replace(/\.ts$/, ''))) return [`${path}: name the noun it holds, not a drawer`];
  return KEBAB_CASE.test(name) ? [] : [`${path}: file names are kebab-case`];
}

function roomFault(room: Room, from: string, to: string): string | undefined {
  const target = roomOf(to);
  if (target === undefined) return to.endsWith('package.json') ? undefined : 'it lies in no room';
  if (MAY_IMPORT[room].rooms.includes(target)) return undefined;
  if (DOORS.some(door => from.startsWith(door.from) && to.startsWith(door.to))) return undefined;
  return `${room}/ may import ${MAY_IMPORT[room].rooms.join(', ')} only`;
}

function packageFault(room: Room, specifier: string): string | undefined {
  const { packages } = MAY_IMPORT[room];
  if (packages === 'any') return undefined;
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  return packages.includes(name) ? undefined : `${room}/ may import the packages ${packages.join(', ')} only`;
}

function resolved(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

function withoutComments(text: string): string {
  return transformSync(text, { loader: 'ts', legalComments: 'none' }).code;
}

function lineOf(text: string, word: RegExp): number {
  return text.split('\n').findIndex(line => word.test(line)) + 1;
}
