import process from 'node:process';
import type { Command } from 'commander';
import type { JobId } from '../../core/ids.ts';
import { formatBytes } from '../byte-size.ts';
import { commandName } from '../command-name.ts';
import type { Fact } from '../progress/display.ts';
import type { PublishOutcome } from '../publish.ts';
import {
  durationOption,
  jobOption,
  jsonOption,
  neededOrigin,
  originOption,
  sizeOption,
  tokenOption,
} from './options.ts';

const EXAMPLES = `
Examples:
  agent publish ./llama-7b --job llama-7 --origin s3://models/starling
  agent publish camera-3.mp4 --job camera-3-monday --origin http://10.0.0.5:7070
  agent publish ./llama-7b --job llama-7 --origin file:///mnt/share/starling

A job never changes: the same content again is a no-op, other content under its id is refused.`;

type PublishFlags = {
  readonly job: JobId;
  readonly origin?: string;
  readonly token?: string;
  readonly chunkSize?: number;
  readonly json?: boolean;
  readonly every?: number;
};

export function addPublishCommand(program: Command): void {
  program
    .command('publish')
    .description('put a file or directory into an origin, as a job that others can fetch')
    .argument('<path>', 'the file or directory')
    .addOption(jobOption())
    .addOption(originOption())
    .addOption(tokenOption())
    .addOption(sizeOption('--chunk-size <size>', 'unit of transfer (default: a thousandth of the whole, 1 to 64MiB)'))
    .addOption(jsonOption())
    .addOption(durationOption('--every <duration>', 'between two lines of progress (default: 3s, with --json 1s)'))
    .addHelpText('after', EXAMPLES)
    .action(publishJob);
}

async function publishJob(path: string, flags: PublishFlags): Promise<void> {
  const url = neededOrigin(flags.origin);
  const [{ publish }, { openOrigin }, { openWorkDisplay }, { listenForInterruption }] = await Promise.all([
    import('../publish.ts'),
    import('../origins/open-origin.ts'),
    import('../progress/work-display.ts'),
    import('../interruption.ts'),
  ]);
  const origin = await openOrigin(url, { token: flags.token });
  const interruption = listenForInterruption();
  const display = openWorkDisplay(process.stdout, {
    job: flags.job,
    phase: 'scanning',
    json: flags.json,
    everyMs: flags.every,
  });
  try {
    const outcome = await publish({
      path,
      job: flags.job,
      origin,
      chunkLengthBytes: flags.chunkSize,
      onProgress: ({ phase, doneBytes, totalBytes }) => display.note(phase, doneBytes, totalBytes),
      signal: interruption.signal,
    });
    display.end();
    display.say(factOf(outcome, url));
  } finally {
    display.end();
    interruption.end();
    await origin.close();
  }
}

function factOf({ kind, manifest, digest }: PublishOutcome, origin: string): Fact {
  const { job, lengthBytes, chunks, chunkLengthBytes } = manifest;
  const count = chunks.length === 1 ? '1 chunk' : `${chunks.length} chunks`;
  const content = `${formatBytes(lengthBytes)} in ${count} of ${formatBytes(chunkLengthBytes)}`;
  const line =
    kind === 'published' ? `published ${job}: ${content}` : `unchanged: ${job} is published with just this content`;
  return {
    line: `${line}\nfetch it with: ${commandName()} fetch --job ${job} --dest <path> --origin ${origin}`,
    json: { kind: 'done', outcome: kind, job, digest, lengthBytes, chunkCount: chunks.length, chunkLengthBytes },
  };
}
