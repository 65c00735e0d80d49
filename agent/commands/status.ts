import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { config } from '../../core/config.ts';
import { StarlingError } from '../../core/errors.ts';
import type { JobId } from '../../core/ids.ts';
import type { JobStatus } from '../../core/tracker-message.ts';
import type { Outlet } from '../progress/display.ts';
import type { TrackerClient } from '../tracker-client.ts';
import {
  durationOption,
  jobOption,
  jsonOption,
  originOption,
  tokenOption,
  trackerBeside,
  trackerOption,
} from './options.ts';

const EXAMPLES = `
Examples:
  agent status --job llama-7 --tracker http://10.0.0.5:7070
  agent status --job llama-7 --origin http://10.0.0.5:7070 --watch
  agent status --job llama-7 --json | jq '.agents[] | select(.isSlow)'`;

type StatusFlags = {
  readonly job: JobId;
  readonly tracker?: string;
  readonly origin?: string;
  readonly token?: string;
  readonly watch?: boolean;
  readonly every?: number;
  readonly json?: boolean;
};

export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('who works on a job: how complete, how fast, who is slow or quarantined and why')
    .addOption(jobOption())
    .addOption(trackerOption())
    .addOption(originOption())
    .addOption(tokenOption())
    .option('--watch', 'show it again and again until Ctrl-C')
    .addOption(durationOption('--every <duration>', 'with --watch, how often (default: 1s on a terminal, else 3s)'))
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(showStatus);
}

async function showStatus(flags: StatusFlags): Promise<void> {
  const [{ TrackerClient }, { chooseOutlet }] = await Promise.all([
    import('../tracker-client.ts'),
    import('../progress/display.ts'),
  ]);
  const outlet = chooseOutlet(process.stdout, { json: flags.json, everyMs: flags.every });
  const client = new TrackerClient(neededTracker(flags), flags.token);
  try {
    if (flags.watch) await watch(client, flags.job, outlet);
    else process.stdout.write(`${await wordsFor(outlet, await client.status(flags.job))}\n`);
  } finally {
    await client.close();
  }
}

/** Until interrupted, which is how it is meant to end. */
async function watch(client: TrackerClient, job: JobId, outlet: Outlet): Promise<void> {
  const [{ createLogUpdate }, { listenForInterruption }] = await Promise.all([
    import('log-update'),
    import('../interruption.ts'),
  ]);
  const interruption = listenForInterruption();
  const { signal } = interruption;
  const update = outlet.kind === 'terminal' ? createLogUpdate(process.stdout) : undefined;
  const everyMs = outlet.everyMs ?? (outlet.kind === 'lines' ? config.display.lineMs : config.display.jsonMs);
  try {
    while (!signal.aborted) {
      const words = await statusWords(client, job, outlet, signal);
      if (update) update(words);
      else process.stdout.write(`${words}\n`);
      await sleep(everyMs, undefined, { signal }).catch(ignoreAbort);
    }
  } finally {
    update?.done();
    interruption.end();
  }
}

/** A job that nobody announces yet, or a tracker that is away for a moment, is something to watch too. */
async function statusWords(client: TrackerClient, job: JobId, outlet: Outlet, signal: AbortSignal): Promise<string> {
  try {
    return await wordsFor(outlet, await client.status(job, signal));
  } catch (error) {
    const isPassing = error instanceof StarlingError && ['unknown-job', 'tracker-unreachable'].includes(error.code);
    if (!isPassing) throw error;
    return outlet.kind === 'json' ? JSON.stringify({ kind: 'no-status', code: error.code }) : error.message;
  }
}

async function wordsFor(outlet: Outlet, status: JobStatus): Promise<string> {
  const { statusJson, statusText } = await import('../progress/status-picture.ts');
  return outlet.kind === 'json' ? JSON.stringify(statusJson(status)) : statusText(status);
}

function neededTracker({ tracker, origin }: StatusFlags): URL {
  const url = origin === undefined && tracker === undefined ? undefined : trackerBeside(origin ?? '', tracker);
  if (url !== undefined) return url;
  throw new StarlingError('usage', 'no tracker is given', {
    next: 'say --tracker <url>, or --origin <url> if that is an embedded one; STARLING_TRACKER does too',
  });
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error && error.name === 'AbortError')) throw error;
}
