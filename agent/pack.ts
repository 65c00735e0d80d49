import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { build, type Metafile } from 'esbuild';
import { NODE_VERSION_MIN } from './node-version.ts';

// What `npm pack` runs. Node does not strip types under node_modules, so the package is bundled JavaScript with a
// package.json of its own: no dependencies, for all are in the bundle, and its own entry. npm packs the package.json
// it finds, so ours steps aside meanwhile: `before` (prepack) swaps it, `after` (postpack) swaps it back, and `guard`
// does if npm fails or is killed in between.

const TOP = join(import.meta.dirname, '..');
const MANIFEST = join(TOP, 'package.json');
/** Ours, while another one stands in its place; npm never packs it. */
const ASIDE = join(TOP, '.package.json.aside');
const GUARD_INTERVAL_MS = 100;
const SHELLS = /^-?(.*\/)?(sh|dash|bash|zsh|ash|busybox)$/;
/** How deep below npm a script may stand. */
const SHELLS_MAX = 4;

const [task, pid] = process.argv.slice(2);
if (task === 'before') await before();
else if (task === 'after') restore();
else if (task === 'guard') await guard(Number(pid));
else throw new Error('usage: pack.ts before|after, run by npm pack');

async function before(): Promise<void> {
  restore();
  rmSync(join(TOP, 'dist'), { recursive: true, force: true });
  const metafile = await bundle();
  writeFileSync(join(TOP, 'dist', 'THIRD-PARTY-LICENSES.txt'), licensesOf(metafile));
  const packed = packedManifest(readFileSync(MANIFEST, 'utf8'));
  // In this order, so that at every moment ours stands somewhere and the guard sees it.
  copyFileSync(MANIFEST, ASIDE);
  startGuard();
  writeFileSync(MANIFEST, packed);
}

function restore(): void {
  try {
    renameSync(ASIDE, MANIFEST);
  } catch (error) {
    // It stands where it belongs: nothing was packed, or the other of `after` and `guard` was first.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}

async function bundle(): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: TOP,
    entryPoints: { agent: 'agent/main.ts', 'hash-worker': 'agent/disk/hash-worker.ts' },
    outdir: 'dist',
    bundle: true,
    // What a command imports late, such as the S3 client, stays a file of its own, read when it is needed.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    mainFields: ['module', 'main'],
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
    // CommonJS packages ask for node's modules by `require`, which ES modules do not have.
    banner: {
      js: "import{createRequire as starlingRequire}from'node:module';const require=starlingRequire(import.meta.url);",
    },
  });
  return metafile;
}

/** The licenses ask that their text goes where the code goes. */
function licensesOf(metafile: Metafile): string {
  const folders = new Set<string>();
  for (const input of Object.keys(metafile.inputs)) {
    const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
    if (folder !== undefined) folders.add(folder);
  }
  return [...folders].sort().map(licenseText).join('\n');
}

function licenseText(folder: string): string {
  const path = join(TOP, folder);
  const name = readdirSync(path).find(entry => /^licen[cs]e/i.test(entry));
  const title = folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const text = name === undefined ? 'see its package page' : readFileSync(join(path, name), 'utf8').trim();
  return `=== ${title}\n\n${text}\n`;
}

function packedManifest(text: string): string {
  const ours: Record<string, unknown> = JSON.parse(text);
  const kept = ['name', 'version', 'description', 'license', 'type', 'repository', 'homepage', 'keywords'];
  const packed = {
    ...Object.fromEntries(kept.filter(key => key in ours).map(key => [key, ours[key]])),
    bin: { agent: 'dist/agent.js' },
    files: ['dist', 'CHANGELOG.md'],
    engines: { node: `>=${NODE_VERSION_MIN}` },
    // npm reads it from the file that stands there now.
    scripts: { postpack: 'node agent/pack.ts after' },
  };
  return `${JSON.stringify(packed, undefined, 2)}\n`;
}

function startGuard(): void {
  const npm = npmPid();
  if (npm === undefined) return;
  const script = join(TOP, 'agent', 'pack.ts');
  spawn(process.execPath, [script, 'guard', String(npm)], { detached: true, stdio: 'ignore' }).unref();
}

/** Waits for npm's end, whichever it is. */
async function guard(npm: number): Promise<void> {
  while (isAlive(npm) && existsSync(ASIDE)) await sleep(GUARD_INTERVAL_MS);
  restore();
}

/** Our parent, or its parent if a shell stands between. `undefined` where the system does not tell. */
function npmPid(): number | undefined {
  let current = process.ppid;
  for (let depth = 0; depth < SHELLS_MAX; depth += 1) {
    const [, command, parent] = /^\d+ \((.*)\) \S+ (\d+) /s.exec(processLine(current)) ?? [];
    if (command === undefined) return undefined;
    if (!SHELLS.test(command)) return current;
    current = Number(parent);
  }
  return undefined;
}

/** As /proc has it, also where there is none: `pid (command) state parent ...`. */
function processLine(id: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${id}/stat`, 'utf8');
    const line = execFileSync('ps', ['-o', 'ppid=', '-o', 'comm=', '-p', String(id)], { encoding: 'utf8' });
    const [, parent, command] = /^\s*(\d+)\s+(.*\S)/.exec(line) ?? [];
    return `${id} (${command}) S ${parent} `;
  } catch {
    // No ps on this machine, or no such process: then postpack alone restores.
    return '';
  }
}

function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch {
    // ESRCH.
    return false;
  }
}
