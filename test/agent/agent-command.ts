import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));
/** Halves what it costs to start a process. */
const COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/starling-cli', import.meta.url));

export type CommandEnd = { readonly exitCode: number | null; readonly stdout: string; readonly stderr: string };
export type CommandRun = {
  /** Beside the test's own environment, in which no STARLING_* stands. */
  readonly env?: Readonly<Record<string, string>>;
  /** Called with all of stdout so far, whenever there is more; for signals at the right moment. */
  readonly onOutput?: (stdout: string, kill: (signal: NodeJS.Signals) => void) => void;
};

/** `agent <args>` as a user of the checkout runs it, to its end. */
export function agentCommand(args: readonly string[], run: CommandRun = {}): Promise<CommandEnd> {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('STARLING_'));
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...Object.fromEntries(own), NODE_COMPILE_CACHE: COMPILE_CACHE, ...run.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => {
    stdout += text.toString();
    run.onOutput?.(stdout, signal => child.kill(signal));
  });
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', exitCode => resolve({ exitCode, stdout, stderr }));
  });
}
