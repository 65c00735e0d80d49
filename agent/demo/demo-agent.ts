import { type ChildProcess, spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import * as z from 'zod/mini';
import { config } from '../../core/config.ts';
import type { Bytes, Millis } from '../../core/ids.ts';
import { readPeakMemory } from '../peak-memory.ts';

// What the demo reads of the lines that `agent fetch --json` prints; the rest of a line is none of its business.
const sources = {
  resumedBytes: z.number(),
  bytesFromOrigin: z.number(),
  bytesFromPeers: z.number(),
  duplicateBytes: z.number(),
};
const fill = { haveBytes: z.number(), lengthBytes: z.number(), rateBytesPerSecond: z.number() };
const peak = { peakRssBytes: z.optional(z.number()) };
const lineShape = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('progress'), phase: z.string(), ...fill, ...sources }),
  z.object({ kind: z.literal('done'), lengthBytes: z.number(), ...sources, ...peak }),
  z.object({ kind: z.literal('left'), ...sources, ...peak }),
  z.object({ kind: z.literal('error'), code: z.string(), message: z.string() }),
]);
type Line = z.infer<typeof lineShape>;
export type AgentCounters = Omit<Extract<Line, { kind: 'progress' }>, 'kind' | 'phase'>;

/** The last lines of stderr that are kept, for the report of a failure. */
const STDERR_LINES_MAX = 20;
const NOTHING_YET: AgentCounters = {
  haveBytes: 0,
  lengthBytes: 0,
  resumedBytes: 0,
  bytesFromOrigin: 0,
  bytesFromPeers: 0,
  duplicateBytes: 0,
  rateBytesPerSecond: 0,
};

/**
 * One `agent fetch` in a process of its own, seen from outside: by the lines it prints and by what the system says of
 * it. An IPC channel ties its life to ours: it leaves when the channel closes, also if we are killed.
 */
export class DemoAgent {
  readonly name: string;
  readonly destination: string;
  /** Resolves when the file is placed; rejects when the process ends before that. */
  readonly placed: Promise<void>;
  counters: AgentCounters = NOTHING_YET;
  phase = 'starting';
  /** Since the first agent of the demo was started; `undefined` until the file is placed. */
  doneAfterMs: Millis | undefined;
  peakRssBytes: Bytes = 0;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #stderr: string[] = [];
  #failure: string | undefined;

  constructor(start: {
    name: string;
    destination: string;
    args: readonly string[];
    env: NodeJS.ProcessEnv;
    since: Millis;
  }) {
    this.name = start.name;
    this.destination = start.destination;
    const entry = process.argv[1] ?? '';
    this.#child = spawn(process.execPath, [...process.execArgv, entry, ...start.args], {
      env: start.env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#exited = new Promise(resolve => {
      this.#child.once('close', () => resolve());
      this.#child.once('error', error => {
        this.#failure ??= error.message;
        resolve();
      });
    });
    this.placed = this.#watch(start.since);
    // Whoever awaits it hears of it; a demo that is broken off first must not end the process.
    this.placed.catch(() => undefined);
  }

  /** Memory as the system counts it; to be called while the process lives. */
  samplePeakMemory(): void {
    const peak = this.#child.pid === undefined ? undefined : readPeakMemory(this.#child.pid);
    this.peakRssBytes = Math.max(this.peakRssBytes, peak ?? 0);
  }

  /** Ask it to leave; after `config.demo.leaveMs` make it. Resolves when the process is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const force = setTimeout(() => this.kill(), config.demo.leaveMs);
    this.#child.kill('SIGTERM');
    await this.#exited;
    clearTimeout(force);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #watch(since: Millis): Promise<void> {
    const { stdout, stderr } = this.#child;
    if (stderr !== null) createInterface({ input: stderr }).on('line', line => this.#noteStderr(line));
    return new Promise((resolve, reject) => {
      if (stdout === null) return reject(new Error(`${this.name} has no output`));
      createInterface({ input: stdout }).on('line', text => {
        this.#note(parseLine(text), since);
        if (this.doneAfterMs !== undefined) resolve();
      });
      this.#exited.then(() => reject(new Error(`${this.name} ${this.#lastWords()}`)));
    });
  }

  #note(line: Line | undefined, since: Millis): void {
    switch (line?.kind) {
      case 'progress': {
        const { kind: _kind, phase, ...counters } = line;
        this.phase = phase;
        this.counters = counters;
        return;
      }
      case 'done': {
        const { kind: _kind, peakRssBytes = 0, lengthBytes, ...counted } = line;
        this.doneAfterMs = Math.round(performance.now() - since);
        this.peakRssBytes = Math.max(this.peakRssBytes, peakRssBytes);
        this.counters = { ...this.counters, ...counted, lengthBytes, haveBytes: lengthBytes };
        return;
      }
      case 'left': {
        const { kind: _kind, peakRssBytes = 0, ...counted } = line;
        this.peakRssBytes = Math.max(this.peakRssBytes, peakRssBytes);
        this.counters = { ...this.counters, ...counted };
        return;
      }
      case 'error':
        this.#failure = `${line.code}: ${line.message}`;
        return;
      default:
        return;
    }
  }

  #noteStderr(line: string): void {
    this.#stderr.push(line);
    if (this.#stderr.length > STDERR_LINES_MAX) this.#stderr.shift();
  }

  #lastWords(): string {
    const { exitCode, signalCode } = this.#child;
    const how = signalCode === null ? `ended with exit code ${exitCode}` : `was ended by ${signalCode}`;
    return [how, this.#failure, ...this.#stderr].filter(text => text !== undefined).join('\n  ');
  }
}

/** `undefined` for a line of another kind, or none of ours: a newer agent may say more than this demo knows. */
function parseLine(text: string): Line | undefined {
  try {
    const parsed = lineShape.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
