import { type Command, InvalidArgumentError, Option } from 'commander';
import { StarlingError } from '../../core/errors.ts';
import { parseJobId } from '../../core/ids.ts';
import { BYTE_SIZE_FORM, parseByteSize } from '../byte-size.ts';
import { DURATION_FORM, parseDuration } from '../duration.ts';

// Options that several commands share, so that each means the same everywhere. Those with a STARLING_* variable may
// stand in the settings file too (agent/settings.ts), under the option's own name.

const ORIGIN_FORM = 's3://bucket/prefix, http(s)://host:port, file:///directory or the path of a directory';
const PORT_MAX = 65_535;

const NEEDED = new WeakSet<Option>();

/** Marks an option that its command cannot do without. commander's own mark complains before it looks for typing errors. */
export function needed(option: Option): Option {
  NEEDED.add(option);
  return option;
}

/** Throws `usage` for the first needed option that neither flag, variable nor settings file gave. */
export function checkNeeded(command: Command): void {
  const missing = command.options.find(
    option => NEEDED.has(option) && command.getOptionValue(option.attributeName()) === undefined,
  );
  if (missing === undefined) return;
  throw new StarlingError('usage', `option '${missing.flags}' is missing`, {
    next: `say agent ${command.name()} ${missing.flags}; agent ${command.name()} --help shows examples`,
  });
}

export function jobOption(): Option {
  return needed(
    new Option('--job <id>', 'the job: one immutable version of a file or directory').argParser(parseJobId),
  );
}

export function originOption(): Option {
  return new Option('--origin <url>', `the object store: ${ORIGIN_FORM}`).env('STARLING_ORIGIN');
}

export function trackerOption(): Option {
  return new Option('--tracker <url>', 'who is there and who pulls what (default: the origin, if it is http)')
    .env('STARLING_TRACKER')
    .argParser(accepting(parseHttpUrl, 'http(s)://host:port'));
}

export function tokenOption(): Option {
  return new Option('--token <token>', 'the secret of origin and tracker; a variable does not show in ps')
    .env('STARLING_TOKEN')
    .argParser(accepting(parseToken, 'printable characters without spaces'));
}

export function jsonOption(): Option {
  return new Option('--json', 'print one JSON object per line, for machines');
}

export function sizeOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(accepting(parseByteSize, BYTE_SIZE_FORM));
}

export function durationOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(accepting(parseDuration, DURATION_FORM));
}

export function portOption(description: string): Option {
  return new Option('--port <port>', description).argParser(
    accepting(text => parseCount(text, PORT_MAX), `a port, 0 to ${PORT_MAX}`),
  );
}

export function countOption(flags: string, description: string, max: number): Option {
  return new Option(flags, description).argParser(
    accepting(text => (text === '0' ? undefined : parseCount(text, max)), `a whole number, 1 to ${max}`),
  );
}

/** The origin, or what is wrong without it. */
export function neededOrigin(origin: string | undefined): string {
  if (origin !== undefined) return origin;
  throw new StarlingError('usage', 'no origin is given', {
    next: `say --origin <url>, set STARLING_ORIGIN, or write "origin" into the settings file; it is ${ORIGIN_FORM}`,
  });
}

/** An http origin is the embedded one, which tracks its own jobs. */
export function trackerBeside(origin: string, tracker: string | undefined): URL | undefined {
  if (tracker !== undefined) return new URL(tracker);
  return /^https?:/i.test(origin) ? new URL(origin) : undefined;
}

/** commander's way to refuse a value: it adds which option, and whether a variable brought it. */
export function accepting<T>(parse: (text: string) => T | undefined, form: string): (text: string) => T {
  return text => {
    const value = parse(text);
    if (value === undefined) throw new InvalidArgumentError(`Expected ${form}.`);
    return value;
  };
}

function parseHttpUrl(text: string): string | undefined {
  const url = URL.parse(text);
  return url !== null && ['http:', 'https:'].includes(url.protocol) ? text : undefined;
}

function parseToken(text: string): string | undefined {
  return /^[\x21-\x7e]+$/.test(text) ? text : undefined;
}

function parseCount(text: string, max: number): number | undefined {
  const value = Number(text);
  return /^\d+$/.test(text) && value <= max ? value : undefined;
}
