import process from 'node:process';
import type { Command } from 'commander';
import { StarlingError } from '../../core/errors.ts';
import type { JobId } from '../../core/ids.ts';
import type { Manifest } from '../../core/manifest.ts';
import { formatBytes } from '../byte-size.ts';
import type { TreeReport } from '../disk/verify-tree.ts';
import type { Fact } from '../progress/display.ts';
import { jobOption, jsonOption, neededOrigin, originOption, tokenOption } from './options.ts';

const EXAMPLES = `
Examples:
  agent verify /models/llama --job llama-7 --origin http://10.0.0.5:7070
  agent verify /models/llama --job llama-7 --json | tail -n 1`;

/** Bad files that are named for people; --json names all. */
const NAMED_MAX = 50;

type VerifyFlags = {
  readonly job: JobId;
  readonly origin?: string;
  readonly token?: string;
  readonly json?: boolean;
};

export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description('hash what lies on disk again and compare it with the job: which chunks and files are bad')
    .argument('<path>', 'the file or directory that was fetched')
    .addOption(jobOption())
    .addOption(originOption())
    .addOption(tokenOption())
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(verifyJob);
}

async function verifyJob(path: string, flags: VerifyFlags): Promise<void> {
  const url = neededOrigin(flags.origin);
  const [{ openOrigin }, { readJobManifest }, { isWhole, verifyTree }, { openWorkDisplay }, { listenForInterruption }] =
    await Promise.all([
      import('../origins/open-origin.ts'),
      import('../job-manifest.ts'),
      import('../disk/verify-tree.ts'),
      import('../progress/work-display.ts'),
      import('../interruption.ts'),
    ]);
  const origin = await openOrigin(url, { token: flags.token });
  const interruption = listenForInterruption();
  const { signal } = interruption;
  const display = openWorkDisplay(process.stdout, {
    job: flags.job,
    phase: 'checking',
    json: flags.json,
    everyMs: undefined,
  });
  try {
    const { manifest } = await readJobManifest(origin, flags.job, signal);
    const report = await verifyTree({
      manifest,
      path,
      signal,
      onProgress: ({ checkedBytes, totalBytes }) => display.note('checking', checkedBytes, totalBytes),
    });
    display.end();
    display.say(factOf(report, manifest, path));
    if (!isWhole(report)) throw differs(report, path);
  } finally {
    display.end();
    interruption.end();
    await origin.close();
  }
}

function factOf(report: TreeReport, manifest: Manifest, path: string): Fact {
  const { badChunks, badFiles, missing, extra } = report;
  const lines = [
    ...badFiles.map(({ path: file, problem }) => `bad      ${file}: ${problem}`),
    ...missing.map(file => `missing  ${file}`),
    ...extra.map(file => `extra    ${file} (not of the job; left alone)`),
  ];
  const shown = lines.slice(0, NAMED_MAX);
  const more = lines.length - shown.length;
  const isWhole = badFiles.length + badChunks.length + missing.length === 0;
  const verdict = isWhole
    ? `verified: ${path} is job ${manifest.job}, ${formatBytes(manifest.lengthBytes)} in ${manifest.chunks.length} chunks`
    : `${badChunks.length} of ${manifest.chunks.length} chunks are bad`;
  return {
    line: [...shown, ...(more > 0 ? [`and ${more} more; --json names them all`] : []), verdict].join('\n'),
    json: { kind: 'verified', ok: isWhole, job: manifest.job, path, badChunks, badFiles, missing, extra },
  };
}

function differs({ badFiles, missing }: TreeReport, path: string): StarlingError {
  return new StarlingError(
    'integrity',
    `${path} differs from the job: ${badFiles.length} bad, ${missing.length} missing`,
    {
      next: 'run agent fetch with --replace to get what is wrong again',
    },
  );
}
