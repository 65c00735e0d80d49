import process from 'node:process';
import { type Command, Option } from 'commander';
import type { JobId, Zone } from '../../core/ids.ts';
import { parseZone } from '../../core/ids.ts';
import { parseRate, RATE_FORM } from '../byte-size.ts';
import { DURATION_FORM, parseDuration } from '../duration.ts';
import type { FetchOptions, FetchRun, Linger } from '../fetch.ts';
import type { Display, Outlet } from '../progress/display.ts';
import {
  accepting,
  durationOption,
  jobOption,
  jsonOption,
  needed,
  neededOrigin,
  originOption,
  portOption,
  tokenOption,
  trackerBeside,
  trackerOption,
} from './options.ts';

const EXAMPLES = `
Examples:
  agent fetch --job llama-7 --dest /models/llama --origin http://10.0.0.5:7070
  agent fetch --job llama-7 --dest /models/llama --origin s3://models/starling --tracker https://tracker.example
  agent fetch --job llama-7 --dest /models/llama --linger forever      keep serving others until Ctrl-C

The destination is the file or directory itself, not a directory to put it into. A broken-off fetch goes on where it
was when the same command is run again.`;

type FetchFlags = {
  readonly job: JobId;
  readonly dest: string;
  readonly origin?: string;
  readonly tracker?: string;
  readonly token?: string;
  readonly linger: Linger;
  readonly replace?: boolean;
  readonly zone: Zone;
  readonly host?: string;
  readonly listen?: string;
  readonly port: number;
  readonly linkRate?: number;
  readonly json?: boolean;
  readonly every?: number;
  readonly verbose?: boolean;
};

export function addFetchCommand(program: Command): void {
  program
    .command('fetch')
    .description('download a job, verify it, put it in place, and serve it to others meanwhile')
    .addOption(jobOption())
    .addOption(needed(new Option('--dest <path>', 'where the file or directory shall stand')))
    .addOption(originOption())
    .addOption(trackerOption())
    .addOption(tokenOption())
    .addOption(lingerOption())
    .option('--replace', 'overwrite what stands at the destination')
    .addOption(
      new Option('--zone <zone>', 'agents trade inside their zone')
        .env('STARLING_ZONE')
        .default('local')
        .argParser(parseZone),
    )
    .addOption(new Option('--host <address>', 'the address peers are told (default: found out)').env('STARLING_HOST'))
    .option('--listen <address>', 'the address to listen on for peers (default: all)')
    .addOption(portOption('the port to listen on for peers; 0 takes a free one').env('STARLING_PORT').default(0))
    .addOption(
      new Option('--link-rate <rate>', "speed of this machine's network, if known")
        .env('STARLING_LINK_RATE')
        .argParser(accepting(parseRate, RATE_FORM)),
    )
    .addOption(jsonOption())
    .addOption(durationOption('--every <duration>', 'between two lines of progress (default: 3s, with --json 1s)'))
    .option('--verbose', 'log what happens between the agents to stderr; no bar then')
    .addHelpText('after', EXAMPLES)
    .action(fetchJob);
}

async function fetchJob(flags: FetchFlags): Promise<void> {
  const [{ startFetch }, { openDisplay, chooseOutlet }, { fetchPicture }, { paletteFor }, { listenForInterruption }] =
    await Promise.all([
      import('../fetch.ts'),
      import('../progress/display.ts'),
      import('../progress/fetch-picture.ts'),
      import('../progress/palette.ts'),
      import('../interruption.ts'),
    ]);
  const outlet = chooseOutlet(process.stdout, { json: flags.json, everyMs: flags.every, verbose: flags.verbose });
  const run = startFetch(await optionsOf(flags, outlet.kind));
  const interruption = listenForInterruption();
  interruption.signal.addEventListener('abort', () => run.leave());
  const palette = paletteFor(process.stdout);
  const display = openDisplay(outlet, () => fetchPicture(run.progress(), palette));
  try {
    await follow(run, flags, display);
  } finally {
    display.end();
    interruption.end();
  }
}

async function follow(run: FetchRun, flags: FetchFlags, display: Display): Promise<void> {
  const [{ placedFact, seedingFact, leftFact }, { readPeakMemory }] = await Promise.all([
    import('../progress/fetch-facts.ts'),
    import('../peak-memory.ts'),
  ]);
  try {
    const result = await run.placed;
    display.say(placedFact(result, run.progress(), { dest: flags.dest, peakRssBytes: readPeakMemory('self') }));
    const leavesAtOnce = flags.linger.kind === 'for' && flags.linger.lengthMs === 0;
    if (result.kind === 'fetched' && !leavesAtOnce) display.say(seedingFact(flags.linger));
  } finally {
    // A run that failed has links and files to close as well; it fails by `ended` as by `placed`.
    await run.ended;
  }
  display.end();
  display.say(leftFact(run.progress(), readPeakMemory('self')));
}

async function optionsOf(flags: FetchFlags, outlet: Outlet['kind']): Promise<FetchOptions> {
  const [{ openOrigin }, { openStderrLog }, { silentLog }] = await Promise.all([
    import('../origins/open-origin.ts'),
    import('../stderr-log.ts'),
    import('../event-log.ts'),
  ]);
  const origin = neededOrigin(flags.origin);
  return {
    job: flags.job,
    dest: flags.dest,
    origin: await openOrigin(origin, { token: flags.token }),
    tracker: trackerBeside(origin, flags.tracker),
    token: flags.token,
    listen: { host: flags.listen, port: flags.port },
    advertiseHost: flags.host,
    zone: flags.zone,
    replace: flags.replace === true,
    linger: flags.linger,
    linkBytesPerSecond: flags.linkRate,
    // On a terminal the picture shows what a warning would say, and a line in between would tear it.
    log: outlet === 'terminal' ? silentLog : openStderrLog(flags.verbose ? 'debug' : 'warn'),
  };
}

function lingerOption(): Option {
  return new Option('--linger <duration>', 'serve others so long afterwards; until-quiet: while one near lacks chunks')
    .env('STARLING_LINGER')
    .default({ kind: 'until-quiet' } satisfies Linger, 'until-quiet')
    .argParser(accepting(parseLinger, `${DURATION_FORM}, or until-quiet`));
}

function parseLinger(text: string): Linger | undefined {
  if (text === 'until-quiet') return { kind: 'until-quiet' };
  const lengthMs = parseDuration(text);
  return lengthMs === undefined ? undefined : { kind: 'for', lengthMs };
}
