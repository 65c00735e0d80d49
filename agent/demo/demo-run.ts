import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { StarlingError } from '../../core/errors.ts';
import { type Bytes, type Millis, parseJobId } from '../../core/ids.ts';
import { manifestKey } from '../../core/job-key.ts';
import type { Manifest } from '../../core/manifest.ts';
import { formatBytes } from '../byte-size.ts';
import { fileError } from '../disk/file-error.ts';
import { startEmbeddedOrigin } from '../embedded-origin.ts';
import { silentLog } from '../event-log.ts';
import type { OriginServer } from '../origin-server/origin-server.ts';
import { openOrigin } from '../origins/open-origin.ts';
import { publish } from '../publish.ts';
import { unlessAborted } from '../unless-aborted.ts';
import { DemoAgent } from './demo-agent.ts';
import type { DemoScene } from './demo-picture.ts';
import type { AgentReport, DemoReport } from './demo-report.ts';
import { writeSampleFile } from './sample-file.ts';
import { digestTree, type TreeDigest } from './tree-digest.ts';

export type DemoSettings = {
  readonly agentCount: number;
  /** What to distribute; `undefined`: a generated file of `sampleBytes`. */
  readonly file: string | undefined;
  readonly sampleBytes: Bytes;
  /** Where the demo makes its folder; `undefined`: the system's place for temporary files. */
  readonly dir: string | undefined;
  readonly signal: AbortSignal;
};

const JOB = parseJobId('demo');
const PROGRESS_EVERY = '200ms';
const HOST = '127.0.0.1';

/**
 * The whole of Starling on one machine: an origin, a publisher, and agents as processes of their own, which see each
 * other over the loopback only. `run` once, then `end` in any case.
 */
export class DemoRun {
  readonly #settings: DemoSettings;
  readonly #beganAt: Millis = performance.now();
  readonly #token = randomBytes(16).toString('hex');
  #step = 'reading the source';
  #manifestBytesSent: Bytes = 0;
  #folder: string | undefined;
  #server: OriginServer | undefined;
  #source: { readonly path: string; readonly sizeBytes: Bytes } | undefined;
  #manifest: Manifest | undefined;
  #agents: readonly DemoAgent[] = [];
  #warmUpAgent: DemoAgent | undefined;

  constructor(settings: DemoSettings) {
    this.#settings = settings;
  }

  /** Throws what stands in the way; an agent that failed is in the report. */
  async run(): Promise<DemoReport> {
    const { signal } = this.#settings;
    const source = await this.#prepareSource();
    const server = await this.#startOrigin();
    const warmed = this.#warmUp();
    const manifest = await this.#publish(source.path, server.url).finally(() => warmed);
    this.#step = 'fetching';
    const agents = await this.#startAgents(server.url);
    const outcomes = await unlessAborted(signal, Promise.allSettled(agents.map(agent => agent.placed)));
    for (const agent of agents) agent.samplePeakMemory();
    this.#step = 'leaving';
    await this.#stopAgents();
    this.#step = 'comparing';
    const expected = await digestTree(source.path, signal);
    const reports: AgentReport[] = [];
    for (const [index, agent] of agents.entries()) {
      const outcome = outcomes[index];
      const failure = outcome?.status === 'rejected' ? String(outcome.reason.message) : undefined;
      reports.push(reportOf(agent, failure ?? (await differenceOf(agent.destination, expected, signal))));
    }
    this.#step = 'done';
    return {
      sizeBytes: source.sizeBytes,
      chunkCount: manifest.chunks.length,
      originBytes: this.#originBytes,
      agents: reports,
    };
  }

  /** Stops what runs and removes what was written; the folder stays if it is `kept`. */
  async end(kept: 'kept' | 'removed'): Promise<void> {
    await this.#stopAgents();
    await this.#server?.close();
    if (this.#folder !== undefined && kept === 'removed') await rm(this.#folder, { recursive: true, force: true });
  }

  get folder(): string | undefined {
    return this.#folder;
  }

  /** For who cannot wait for `end`. */
  kill(): void {
    this.#warmUpAgent?.kill();
    for (const agent of this.#agents) agent.kill();
  }

  scene(): DemoScene {
    for (const agent of this.#agents) agent.samplePeakMemory();
    return {
      step: this.#step,
      sizeBytes: this.#source?.sizeBytes ?? this.#settings.sampleBytes,
      chunkCount: this.#manifest?.chunks.length,
      elapsedMs: Math.round(performance.now() - this.#beganAt),
      originBytes: this.#originBytes,
      agents: this.#agents.map(({ name, phase, counters, doneAfterMs }) => ({ name, phase, counters, doneAfterMs })),
    };
  }

  async #prepareSource(): Promise<{ readonly path: string; readonly sizeBytes: Bytes }> {
    const { file, sampleBytes, agentCount, signal } = this.#settings;
    if (file !== undefined) {
      const path = resolve(file);
      const { lengthBytes } = await digestTree(path, signal).catch(cause => {
        throw signal.aborted
          ? cause
          : fileError('source-unreadable', `cannot read ${path}`, cause, { next: 'check --file' });
      });
      // One copy in the origin, one for each agent.
      this.#folder = await this.#makeFolder((agentCount + 1) * lengthBytes);
      this.#source = { path, sizeBytes: lengthBytes };
      return this.#source;
    }
    this.#folder = await this.#makeFolder((agentCount + 2) * sampleBytes);
    this.#step = 'writing the sample';
    const path = join(this.#folder, 'sample');
    await writeSampleFile(path, sampleBytes, signal);
    this.#source = { path, sizeBytes: sampleBytes };
    return this.#source;
  }

  async #makeFolder(neededBytes: Bytes): Promise<string> {
    const dir = resolve(this.#settings.dir ?? tmpdir());
    try {
      await checkRoom(dir, neededBytes);
      return await mkdtemp(join(dir, 'starling-demo-'));
    } catch (cause) {
      if (cause instanceof StarlingError) throw cause;
      throw fileError('destination-unwritable', `cannot work in ${dir}`, cause, {
        next: 'choose another folder with --dir',
      });
    }
  }

  async #startOrigin(): Promise<OriginServer> {
    this.#server = await startEmbeddedOrigin({
      dataDir: join(this.#needFolder(), 'origin'),
      host: HOST,
      port: 0,
      token: this.#token,
      locality: 'zone',
      log: { ...silentLog, debug: (event, fields) => this.#noteRequest(event, fields) },
    });
    return this.#server;
  }

  /** The origin's own count is of all objects; the manifest is not of the copy. */
  #noteRequest(event: string, fields: object): void {
    if (event !== 'request' || !('path' in fields) || !('status' in fields) || !('sentBytes' in fields)) return;
    const isManifest = fields.path === `/v1/objects/${manifestKey(JOB)}` && fields.status === 200;
    if (isManifest) this.#manifestBytesSent += Number(fields.sentBytes);
  }

  get #originBytes(): Bytes {
    return Math.max(0, (this.#server?.counters.objectBytesSent ?? 0) - this.#manifestBytesSent);
  }

  async #publish(path: string, url: string): Promise<Manifest> {
    this.#step = 'publishing';
    const origin = await openOrigin(url, { token: this.#token });
    try {
      const { manifest } = await publish({ path, job: JOB, origin, signal: this.#settings.signal });
      this.#manifest = manifest;
      return manifest;
    } finally {
      await origin.close();
    }
  }

  /**
   * One agent that finds no job and ends: it leaves what Node compiled where the others find it. A hundred sources whose
   * types are stripped by all agents at once would cost each a second and 30 MB that no installed agent needs.
   */
  async #warmUp(): Promise<void> {
    const folder = this.#needFolder();
    await writeFile(join(folder, 'agent.json'), '{}');
    const empty = join(folder, 'empty');
    await mkdir(empty);
    const args = fetchArgs(join(empty, 'copy'), empty);
    const agent = new DemoAgent({ name: 'warm-up', destination: empty, args, env: this.#env(), since: 0 });
    this.#warmUpAgent = agent;
    // It ends by `unknown-job`, as it should.
    await agent.placed.catch(() => undefined);
  }

  /** The machine's own settings are for its real jobs. */
  #env(): NodeJS.ProcessEnv {
    const folder = this.#needFolder();
    const others = Object.entries(process.env).filter(([name]) => !name.startsWith('STARLING_'));
    return {
      ...Object.fromEntries(others),
      STARLING_CONFIG: join(folder, 'agent.json'),
      STARLING_TOKEN: this.#token,
      NODE_COMPILE_CACHE: join(folder, 'compiled'),
    };
  }

  async #startAgents(url: string): Promise<readonly DemoAgent[]> {
    const folder = this.#needFolder();
    const env = this.#env();
    const names = Array.from({ length: this.#settings.agentCount }, (_, index) => `agent ${index + 1}`);
    const homes = names.map(name => join(folder, name.replace(' ', '-')));
    await Promise.all(homes.map(home => mkdir(home)));
    const since = performance.now();
    this.#agents = names.map((name, index) => {
      const destination = join(homes[index] ?? folder, 'copy');
      return new DemoAgent({ name, destination, args: fetchArgs(destination, url), env, since });
    });
    return this.#agents;
  }

  async #stopAgents(): Promise<void> {
    await Promise.all([this.#warmUpAgent?.stop(), ...this.#agents.map(agent => agent.stop())]);
  }

  #needFolder(): string {
    if (this.#folder === undefined) throw new Error('the demo has no folder yet');
    return this.#folder;
  }
}

/** As a user would type them; they linger until all are done. */
function fetchArgs(destination: string, url: string): readonly string[] {
  const places = ['--job', JOB, '--dest', destination, '--origin', url];
  const network = ['--listen', HOST, '--host', HOST, '--zone', 'demo'];
  return ['fetch', ...places, ...network, '--linger', 'forever', '--json', '--every', PROGRESS_EVERY];
}

async function checkRoom(dir: string, neededBytes: Bytes): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes) return;
  throw new StarlingError(
    'disk-full',
    `the demo needs ${formatBytes(neededBytes)}, ${dir} has ${formatBytes(freeBytes)}`,
    {
      next: 'choose a folder on a larger disk with --dir, fewer --agents, or a smaller --size',
    },
  );
}

async function differenceOf(path: string, expected: TreeDigest, signal: AbortSignal): Promise<string | undefined> {
  const found = await digestTree(path, signal);
  return found.sha256 === expected.sha256 ? undefined : `its tree differs from the source (${found.lengthBytes} bytes)`;
}

function reportOf(agent: DemoAgent, fault: string | undefined): AgentReport {
  const { name, doneAfterMs, peakRssBytes, counters } = agent;
  const { bytesFromOrigin, bytesFromPeers, duplicateBytes } = counters;
  return { name, doneAfterMs, bytesFromOrigin, bytesFromPeers, duplicateBytes, peakRssBytes, fault };
}
