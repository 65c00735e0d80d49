import { readFileSync } from 'node:fs';
import * as z from 'zod/mini';
import { StarlingError } from '../core/errors.ts';

/** Where a machine's settings lie; STARLING_CONFIG names another file. */
const SETTINGS_PATH = '/etc/starling/agent.json';

const settingsShape = z.strictObject({
  origin: z.optional(z.string()),
  tracker: z.optional(z.string()),
  token: z.optional(z.string()),
  zone: z.optional(z.string()),
  host: z.optional(z.string()),
  port: z.optional(z.union([z.string(), z.int()])),
  linger: z.optional(z.string()),
});

export type SettingName = keyof typeof settingsShape.shape;

/** What the file says, in the words of the command line: each value is parsed as the flag of that name would be. */
export type Settings = {
  readonly path: string;
  readonly values: ReadonlyMap<string, string>;
};

/**
 * Third in line after flags and STARLING_* variables. A missing file is an empty one, unless STARLING_CONFIG named it.
 * Throws `usage`, naming the file and the key.
 */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const named = env['STARLING_CONFIG'];
  const path = named ?? SETTINGS_PATH;
  const text = readIfThere(path, named !== undefined);
  if (text === undefined) return { path, values: new Map() };
  const parsed = settingsShape.safeParse(parseJson(path, text));
  if (!parsed.success) throw refusal(path, parsed.error.issues);
  const values = new Map<string, string>();
  for (const [name, value] of Object.entries(parsed.data)) values.set(name, String(value));
  return { path, values };
}

function readIfThere(path: string, mustExist: boolean): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    if (isMissing && !mustExist) return undefined;
    throw new StarlingError('usage', `cannot read the settings file ${path}`, {
      next: 'correct STARLING_CONFIG, or make the file readable for this user',
      cause,
    });
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new StarlingError('usage', `the settings file ${path} is not JSON`, {
      next: 'mend the file; it holds one object, such as {"origin": "s3://bucket/prefix"}',
      cause,
    });
  }
}

function refusal(path: string, issues: readonly z.core.$ZodIssue[]): StarlingError {
  const [first] = issues;
  const known = Object.keys(settingsShape.shape).join(', ');
  if (first?.code === 'unrecognized_keys') {
    const keys = first.keys.map(key => JSON.stringify(key)).join(', ');
    return new StarlingError('usage', `the settings file ${path} has the unknown key ${keys}`, {
      next: `remove it; the keys are ${known}`,
    });
  }
  const key = first?.path.join('.') ?? '';
  const where = key === '' ? '' : `, key ${JSON.stringify(key)}`;
  return new StarlingError('usage', `the settings file ${path}${where}: ${first?.message ?? 'invalid'}`, {
    next: `write one JSON object; its keys are ${known}, its values text`,
  });
}
