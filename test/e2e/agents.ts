import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, vi } from 'vitest';
import * as z from 'zod/mini';
import { openOrigin } from '../../agent/origins/open-origin.ts';
import { publish } from '../../agent/publish.ts';
import { parseJobId } from '../../core/ids.ts';
import type { Manifest } from '../../core/manifest.ts';
import { OriginGate } from './origin-gate.ts';
import { writeSample } from './trees.ts';

// Real processes of `agent`, seen from outside: by the lines they print, by how they end, and by what they leave.

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const CHUNK_BYTES = 128 * KiB;

export const MAIN = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));
/** Halves what it costs to start a process, which is most of what these tests cost. */
const COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/starling-e2e', import.meta.url));
/** Longer than anything here takes on a machine ten times too busy; what is waited for is an event, this only bounds it. */
const WAIT_MS = 90_000;
vi.setConfig({ testTimeout: 2 * WAIT_MS, hookTimeout: 2 * WAIT_MS });

const optionalNumber = z.optional(z.number());
const optionalText = z.optional(z.string());

/** Every line of `--json`, of whatever command: the fields that tests look at. */
const lineSchema = z.looseObject({
  kind: z.string(),
  phase: optionalText,
  outcome: optionalText,
  code: optionalText,
  message: optionalText,
  next: optionalText,
  exitCode: optionalNumber,
  agentId: optionalText,
  port: optionalNumber,
  chunkCount: optionalNumber,
  doneBytes: optionalNumber,
  haveBytes: optionalNumber,
  haveCount: optionalNumber,
  resumedBytes: optionalNumber,
  bytesFromOrigin: optionalNumber,
  bytesFromPeers: optionalNumber,
  bytesUploaded: optionalNumber,
  duplicateBytes: optionalNumber,
  placedAfterMs: optionalNumber,
  neighbourCount: optionalNumber,
  discovery: optionalText,
  quarantined: z.optional(z.array(z.looseObject({ peer: z.string(), reason: z.string() }))),
  badChunks: z.optional(z.array(z.number())),
  badFiles: z.optional(z.array(z.looseObject({ path: z.string(), problem: z.string() }))),
  missing: z.optional(z.array(z.string())),
  extra: z.optional(z.array(z.string())),
  agents: z.optional(
    z.array(
      z.looseObject({
        agentId: z.string(),
        state: z.string(),
        haveCount: z.number(),
        percent: z.number(),
        progress: z.looseObject({
          quarantined: z.array(z.looseObject({ agentId: z.string(), reason: z.string() })),
        }),
      }),
    ),
  ),
});
export type Line = z.output<typeof lineSchema>;

export type Ended = {
  readonly exitCode: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly lines: readonly Line[];
  /** The last line of its kind, or a failing test that says what was printed instead. */
  readonly last: (kind: string) => Line;
};

export type Run = {
  /** Other than `agent`: a script of the tests. */
  readonly script?: string;
  readonly uid?: number;
};

type Waiter = { readonly look: () => void };

/** One process. It ends with us: an IPC channel ties its life to ours, and the world kills it by its pid. */
export class AgentProcess {
  readonly lines: Line[] = [];
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #ended: Promise<Ended>;
  readonly #waiting = new Set<Waiter>();
  #stderr = '';
  #hasEnded = false;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv, run: Run) {
    this.#name = args.slice(0, 3).join(' ');
    this.#child = spawn(process.execPath, [run.script ?? MAIN, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      ...(run.uid === undefined ? {} : { uid: run.uid, gid: run.uid }),
    });
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#stderr += text.toString();
    });
    if (this.#child.stdout) createInterface({ input: this.#child.stdout }).on('line', text => this.#note(text));
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (exitCode, signal) => {
        this.#hasEnded = true;
        this.#look();
        resolve({
          exitCode: exitCode ?? undefined,
          signal: signal ?? undefined,
          lines: this.lines,
          last: kind => this.#last(kind),
        });
      });
    });
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`${this.#name} has not started`);
    return pid;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The latest progress, or `undefined` before the first. */
  get progress(): Line | undefined {
    return this.lines.findLast(line => line.kind === 'progress');
  }

  /** The first line, printed already or to come, for which `holds`. Fails when the process ends without it, or in time. */
  until(what: string, holds: (line: Line) => boolean): Promise<Line> {
    let seen = 0;
    return this.#wait(what, () => {
      while (seen < this.lines.length) {
        const line = this.lines[seen];
        seen += 1;
        if (line && holds(line)) return line;
      }
      return undefined;
    });
  }

  /** Its end, in bounded time. */
  async ended(): Promise<Ended> {
    await this.#wait('its end', () => (this.#hasEnded ? true : undefined));
    return this.#ended;
  }

  /** Nothing if it has ended. */
  kill(signal: NodeJS.Signals): void {
    if (!this.#hasEnded) this.#child.kill(signal);
  }

  /** As a crash would end it. */
  async destroy(): Promise<void> {
    this.kill('SIGKILL');
    await this.#ended;
  }

  #wait<T>(what: string, find: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const waiter = { look: () => look() };
      const timer = setTimeout(() => settle(() => reject(this.#failure(`waited in vain for ${what}`))), WAIT_MS);
      const settle = (how: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(waiter);
        how();
      };
      const look = (): void => {
        const found = find();
        if (found !== undefined) settle(() => resolve(found));
        else if (this.#hasEnded) settle(() => reject(this.#failure(`ended before ${what}`)));
      };
      this.#waiting.add(waiter);
      look();
    });
  }

  #note(text: string): void {
    this.lines.push(lineSchema.parse(JSON.parse(text)));
    this.#look();
  }

  #look(): void {
    for (const waiter of [...this.#waiting]) waiter.look();
  }

  #last(kind: string): Line {
    const line = this.lines.findLast(candidate => candidate.kind === kind);
    if (line === undefined) throw this.#failure(`printed no line of kind ${kind}`);
    return line;
  }

  #failure(what: string): Error {
    const tail = this.lines.slice(-3).map(line => JSON.stringify(line));
    return new Error([`${this.#name} (pid ${this.#child.pid}) ${what}`, ...tail, this.#stderr.trim()].join('\n  '));
  }
}

export type RunningOrigin = {
  readonly url: string;
  readonly port: number;
  /** Where its objects lie. */
  readonly dataDir: string;
  readonly process: AgentProcess;
};

/** A published file, all of whose chunks are `CHUNK_BYTES` long. */
export type Sample = {
  readonly job: string;
  readonly path: string;
  readonly chunkCount: number;
  readonly lengthBytes: number;
};

/** A directory and all processes of one test; `end` kills and removes everything, whatever happened. */
export class World {
  readonly directory: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #processes: AgentProcess[] = [];
  readonly #cleanups: (() => Promise<unknown>)[] = [];

  private constructor(directory: string) {
    this.directory = directory;
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith('STARLING_'));
    // The machine's own settings are of its real jobs.
    this.#env = {
      ...Object.fromEntries(own),
      STARLING_CONFIG: join(directory, 'agent.json'),
      NODE_COMPILE_CACHE: COMPILE_CACHE,
    };
  }

  /** `onEnd`: `onTestFinished` of the test, or `afterAll`. */
  static async open(onEnd: (end: () => Promise<void>) => void): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'starling-e2e-')));
    onEnd(() => world.#end());
    await writeFile(join(world.directory, 'agent.json'), '{}');
    return world;
  }

  path(...names: string[]): string {
    return join(this.directory, ...names);
  }

  start(args: readonly string[], run: Run = {}): AgentProcess {
    const started = new AgentProcess([...args, ...(run.script === undefined ? ['--json'] : [])], this.#env, run);
    this.#processes.push(started);
    return started;
  }

  run(args: readonly string[], run: Run = {}): Promise<Ended> {
    return this.start(args, run).ended();
  }

  /** An origin on a free port, or on `port`, with `dataDir` or one of its own. */
  async origin(wish: { readonly port?: number; readonly dataDir?: string } = {}): Promise<RunningOrigin> {
    const dataDir = wish.dataDir ?? this.path(`origin-${this.#processes.length}`);
    const started = this.start(['origin', '--data', dataDir, '--port', `${wish.port ?? 0}`]);
    const { port = 0 } = await started.until('listening', line => line.kind === 'listening');
    return { url: `http://127.0.0.1:${port}`, port, dataDir, process: started };
  }

  async gate(origin: RunningOrigin): Promise<OriginGate> {
    const gate = await OriginGate.open(origin.port);
    this.onEnd(() => gate.close());
    return gate;
  }

  /** A file of so many chunks, published. */
  async publishSample(origin: RunningOrigin, job: string, chunkCount: number): Promise<Sample> {
    const path = await writeSample(this.path(`source-of-${job}`), chunkCount * CHUNK_BYTES, chunkCount);
    await publishTree(origin, job, path);
    return { job, path, chunkCount, lengthBytes: chunkCount * CHUNK_BYTES };
  }

  /** `agent fetch` to `<name>/copy`, with progress as often as it is drawn. */
  async fetch(name: string, job: string, origin: string, more: readonly string[] = []): Promise<AgentProcess> {
    await mkdir(this.path(name), { recursive: true });
    return this.start([...fetchArgs(this.copy(name), job, origin), ...more]);
  }

  copy(name: string): string {
    return this.path(name, 'copy');
  }

  /** Runs after the processes have ended, the last one first. */
  onEnd(cleanup: () => Promise<unknown>): void {
    this.#cleanups.push(cleanup);
  }

  async #end(): Promise<void> {
    await Promise.all(this.#processes.map(started => started.destroy()));
    for (const cleanup of this.#cleanups.reverse()) await cleanup();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** One origin for all tests of a file that do it no harm; each publishes a job of its own. */
export function sharedOrigin(): () => RunningOrigin {
  let origin: RunningOrigin | undefined;
  let end = async (): Promise<void> => undefined;
  beforeAll(async () => {
    const world = await World.open(cleanup => {
      end = cleanup;
    });
    origin = await world.origin();
  });
  afterAll(() => end());
  return () => {
    if (origin === undefined) throw new Error('the shared origin has not started');
    return origin;
  };
}

/** Without a process of its own: most tests are not about publishing. */
export async function publishTree(origin: RunningOrigin, job: string, path: string): Promise<Manifest> {
  const store = await openOrigin(origin.dataDir, {});
  const wish = { path, job: parseJobId(job), origin: store, chunkLengthBytes: CHUNK_BYTES };
  const { manifest } = await publish(wish);
  await store.close();
  return manifest;
}

export function fetchArgs(dest: string, job: string, origin: string): readonly string[] {
  return ['fetch', '--job', job, '--dest', dest, '--origin', origin, '--host', '127.0.0.1', '--every', '100ms'];
}
