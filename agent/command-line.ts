import { readFileSync } from 'node:fs';
import process from 'node:process';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { StarlingError } from '../core/errors.ts';
import { addDemoCommand } from './commands/demo.ts';
import { addFetchCommand } from './commands/fetch.ts';
import { checkNeeded } from './commands/options.ts';
import { addOriginCommand } from './commands/origin.ts';
import { addPublishCommand } from './commands/publish.ts';
import { addStatusCommand } from './commands/status.ts';
import { addVerifyCommand } from './commands/verify.ts';
import type { ExitCode } from './exit-code.ts';
import { failureJson, failureOf, failureText, ReportedFailure } from './failure.ts';

/** Parse, run, and say what went wrong. Never rejects; resolves with the exit code. */
export async function runCommandLine(args: readonly string[]): Promise<ExitCode> {
  const program = commandLine();
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    // commander throws for --help and --version too, once they are printed.
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    // No command: its list was printed, and nothing more need be said.
    if (error instanceof CommanderError && error.code === 'commander.help') return 2;
    if (error instanceof ReportedFailure) return error.exitCode;
    const command = program.commands.find(known => known.name() === args[0]);
    const failure = failureOf(error, command === undefined ? 'agent --help' : `agent ${command.name()} --help`);
    if (args.includes('--json')) process.stdout.write(failureJson(failure));
    else process.stderr.write(failureText(failure, process.env['STARLING_DEBUG'] === '1'));
    return failure.exitCode;
  }
}

function commandLine(): Command {
  const program = new Command('agent')
    .description('Starling: one copy out of the object store, a thousand machines filled.')
    .version(readVersion())
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .helpCommand(false)
    .hook('preAction', async (_program, command) => {
      await fillFromSettings(command);
      checkNeeded(command);
    })
    .addHelpText('after', ENDNOTE);
  addPublishCommand(program);
  addFetchCommand(program);
  addOriginCommand(program);
  addStatusCommand(program);
  addVerifyCommand(program);
  addDemoCommand(program);
  return program;
}

const ENDNOTE = `
Each setting is taken from the flag, else the STARLING_* variable, else /etc/starling/agent.json.
Exit codes: 0 done, 1 other failure, 2 usage, 3 origin or tracker unreachable, 4 integrity, 5 disk, 130 interrupted.
Start with: agent demo`;

/** One level up both from agent/ in the checkout and from dist/ in the package. */
function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const parsed: { readonly version?: unknown } = JSON.parse(text);
  return String(parsed.version);
}

/** Values of the settings file go where neither a flag nor a variable did, through the same parser. */
async function fillFromSettings(command: Command): Promise<void> {
  const { readSettings } = await import('./settings.ts');
  const { path, values } = readSettings(process.env);
  for (const option of command.options) {
    const name = option.attributeName();
    const text = values.get(name);
    const source = command.getOptionValueSource(name);
    const isOpen = source === undefined || source === 'default';
    if (text === undefined || option.envVar === undefined || !isOpen) continue;
    command.setOptionValueWithSource(
      name,
      parseSetting(path, name, () => option.parseArg?.(text, undefined) ?? text),
      'config',
    );
  }
}

function parseSetting<T>(path: string, name: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof InvalidArgumentError)) throw cause;
    throw new StarlingError('usage', `the settings file ${path}, key ${JSON.stringify(name)}: ${cause.message}`, {
      next: 'correct the value in the file',
      cause,
    });
  }
}
