/**
 * What a small young generation of V8 saves (agent/young-heap.ts): three agents fetch the same job from an embedded
 * origin, with it and without it, in turns.
 *
 *   npm run bench:young-heap [-- rounds [MiB]]
 *
 * Prints CPU seconds and peak memory an agent, the median over rounds and agents, and the ratios.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { writeSampleFile } from '../agent/demo/sample-file.ts';
import { startEmbeddedOrigin } from '../agent/embedded-origin.ts';
import { silentLog } from '../agent/event-log.ts';
import { openOrigin } from '../agent/origins/open-origin.ts';
import { publish } from '../agent/publish.ts';
import { parseJobId } from '../core/ids.ts';

const AGENTS = 3;
const [rounds = 3, mebibytes = 512] = process.argv.slice(2).map(Number);
const USAGE = `data:text/javascript,process.on('exit',()=>{const u=process.resourceUsage();
process.stderr.write(JSON.stringify({user:u.userCPUTime/1e6,system:u.systemCPUTime/1e6,rss:u.maxRSS/1024})+'\\n')})`;

type Usage = { readonly user: number; readonly system: number; readonly rss: number };

const folder = await mkdtemp(join(tmpdir(), 'starling-bench-'));
try {
  await compare();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function compare(): Promise<void> {
  const source = join(folder, 'source.bin');
  await writeSampleFile(source, mebibytes * 1024 * 1024, new AbortController().signal);
  const server = await startEmbeddedOrigin({
    dataDir: join(folder, 'store'),
    host: '127.0.0.1',
    port: 0,
    token: undefined,
    locality: 'zone',
    log: silentLog,
  });
  const origin = await openOrigin(server.url, {});
  await publish({ path: source, job: parseJobId('bench'), origin });
  await origin.close();
  const small: Usage[] = [];
  const grown: Usage[] = [];
  for (let round = 0; round < rounds; round += 1) {
    small.push(...(await fetchAll('agent/main.ts', server.url)));
    grown.push(...(await fetchAll('bench/agent-grown-heap.ts', server.url)));
  }
  await server.close();
  print('kept small', small);
  print('as it grows', grown);
  for (const field of ['user', 'system', 'rss'] as const) {
    const ratio = median(small, field) / median(grown, field);
    console.log(`${field.padEnd(8)} small / grown: ${ratio.toFixed(2)}`);
  }
}

async function fetchAll(entry: string, url: string): Promise<readonly Usage[]> {
  const dests = Array.from({ length: AGENTS }, (_, index) => join(folder, `dest-${index}`));
  const usages = await Promise.all(dests.map(dest => fetchOnce(entry, url, dest)));
  for (const dest of dests) await rm(dest, { force: true });
  return usages;
}

async function fetchOnce(entry: string, url: string, dest: string): Promise<Usage> {
  const command = ['--import', USAGE, entry, 'fetch', '--job', 'bench', '--dest', dest, '--origin', url, '--json'];
  const child: ChildProcess = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.on('data', (text: Buffer) => {
    said += text.toString();
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`fetch ended with ${code}: ${said}`);
  return JSON.parse(said.trim().split('\n').at(-1) ?? '') as Usage;
}

function print(name: string, usages: readonly Usage[]): void {
  const figures = [`user ${median(usages, 'user').toFixed(1)} s`, `system ${median(usages, 'system').toFixed(1)} s`];
  console.log(`${name.padEnd(12)} ${figures.join(', ')}, peak ${median(usages, 'rss').toFixed(0)} MiB`);
}

function median(usages: readonly Usage[], field: keyof Usage): number {
  const sorted = usages.map(usage => usage[field]).sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
