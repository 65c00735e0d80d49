import { rmSync } from 'node:fs';
import process from 'node:process';
import type { Command } from 'commander';
import { config } from '../../core/config.ts';
import type { DemoReport } from '../demo/demo-report.ts';
import type { DemoRun } from '../demo/demo-run.ts';
import { exitCodeOf } from '../exit-code.ts';
import { ReportedFailure } from '../failure.ts';
import { countOption, jsonOption, sizeOption } from './options.ts';

const EXAMPLES = `
Examples:
  agent demo
  agent demo --agents 24 --size 64MiB
  agent demo --file ./llama-7b --agents 3 --json | tail -n 1 | jq .originCopies

It runs an origin and the agents on this machine, as processes of their own, and needs room for a copy each. At the end
every copy is compared with the source, byte by byte; exit code 4 if one differs.`;

type DemoFlags = {
  readonly agents: number;
  readonly size: number;
  readonly file?: string;
  readonly dir?: string;
  readonly keep?: boolean;
  readonly json?: boolean;
};

export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('see it work on this machine: an origin, some agents, and how the chunks spread')
    .addOption(countOption('--agents <count>', 'how many agents', config.demo.agentsMax).default(8))
    .addOption(sizeOption('--size <size>', 'length of the generated file').default(256 * 1024 * 1024, '256MiB'))
    .option('--file <path>', 'distribute this file or directory instead of a generated one')
    .option('--dir <path>', "work in this folder (default: the system's folder for temporary files)")
    .option('--keep', 'leave everything in place afterwards, and say where')
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action(showDemo);
}

async function showDemo(flags: DemoFlags): Promise<void> {
  const [{ DemoRun }, { demoPicture }, { chooseOutlet, openDisplay }, { paletteFor }, { listenForInterruption }] =
    await Promise.all([
      import('../demo/demo-run.ts'),
      import('../demo/demo-picture.ts'),
      import('../progress/display.ts'),
      import('../progress/palette.ts'),
      import('../interruption.ts'),
    ]);
  const interruption = listenForInterruption();
  const run = new DemoRun({
    agentCount: flags.agents,
    file: flags.file,
    sampleBytes: flags.size,
    dir: flags.dir,
    signal: interruption.signal,
  });
  const removeAtOnce = (): void => abandon(run, flags.keep === true);
  process.once('exit', removeAtOnce);
  // With --json the picture goes beside the one line that a machine waits for.
  const stream = flags.json ? process.stderr : process.stdout;
  const palette = paletteFor(stream);
  const display = openDisplay(chooseOutlet(stream, { json: false }), () => demoPicture(run.scene(), palette));
  try {
    const report = await run.run().finally(display.end);
    await tell(report, flags, stream);
  } finally {
    await run.end(flags.keep ? 'kept' : 'removed');
    if (flags.keep) stream.write(`everything is in ${run.folder ?? 'place'}; remove it when you have seen it\n`);
    process.off('exit', removeAtOnce);
    interruption.end();
  }
}

async function tell(report: DemoReport, flags: DemoFlags, stream: NodeJS.WriteStream): Promise<void> {
  const [{ isOk, reportJson, reportText }, { paletteFor }] = await Promise.all([
    import('../demo/demo-report.ts'),
    import('../progress/palette.ts'),
  ]);
  stream.write(`${reportText(report, paletteFor(stream))}\n`);
  if (flags.json) process.stdout.write(`${JSON.stringify(reportJson(report))}\n`);
  if (!isOk(report)) throw new ReportedFailure(exitCodeOf('integrity'));
}

/** A second Ctrl-C, or a crash: nothing can be waited for any more. */
function abandon(run: DemoRun, keep: boolean): void {
  run.kill();
  if (run.folder !== undefined && !keep) rmSync(run.folder, { recursive: true, force: true });
}
