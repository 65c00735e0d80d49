import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

/** moto is what the AWS world itself tests against. Pinned: a new version may change what it thinks S3 is. */
const PACKAGES = ['moto[s3,dynamodb]==5.2.5', 'flask==3.1.3', 'flask-cors==6.0.5'];
const CACHE = resolve(import.meta.dirname, '../node_modules/.cache/starling-moto-5.2.5');
const INSTALL_TIMEOUT_MS = 180_000;
/** After a failed installation (offline, no pip) it is not tried again for so long: `npm test` stays quick. */
const RETRY_AFTER_MS = 3_600_000;

/** It ends with its standard input, so that none is left over when a test run is killed. */
const PROGRAM = `
import os, sys, threading
def watch():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
from moto.server import main
main(["-H", "127.0.0.1", "-p", "0"])
`;

export type Moto =
  | { readonly kind: 'running'; readonly endpoint: string; readonly close: () => Promise<void> }
  | { readonly kind: 'missing'; readonly why: string };

/** A moto server on a free port. `missing` where Python, pip or the package index is: tests then skip, saying why. */
export async function startMoto(): Promise<Moto> {
  const why = await install();
  if (why !== undefined) return { kind: 'missing', why };
  const child = spawn('python3', ['-c', PROGRAM], {
    env: { ...process.env, PYTHONPATH: CACHE, PYTHONUNBUFFERED: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const endpoint = await Promise.race([announced(child), ended(child).then(() => undefined)]);
  if (endpoint === undefined) return { kind: 'missing', why: 'moto is installed but did not start' };
  const close = async (): Promise<void> => {
    const end = ended(child);
    child.kill('SIGKILL');
    await end;
  };
  return { kind: 'running', endpoint, close };
}

/** Once a machine, into a folder of its own that appears whole or not at all. Returns why it could not. */
async function install(): Promise<string | undefined> {
  if ((await ageMs(CACHE)) !== undefined) return undefined;
  const marker = `${CACHE}.failed`;
  const failedAgoMs = await ageMs(marker);
  if (failedAgoMs !== undefined && failedAgoMs < RETRY_AFTER_MS)
    return `moto could not be installed; delete ${marker} to try again`;
  const staging = `${CACHE}.${process.pid}`;
  await mkdir(dirname(CACHE), { recursive: true });
  try {
    const flags = ['--quiet', '--disable-pip-version-check', '--no-input', '--retries', '1', '--timeout', '10'];
    const args = ['-m', 'pip', 'install', ...flags, '--target', staging, ...PACKAGES];
    await promisify(execFile)('python3', args, { timeout: INSTALL_TIMEOUT_MS });
    await rename(staging, CACHE);
    return undefined;
  } catch (cause) {
    // Another test process may have been quicker: then the folder is there, and rename refuses to replace it.
    if ((await ageMs(CACHE)) !== undefined) return undefined;
    await writeFile(marker, String(cause));
    return `moto could not be installed (${String(cause).split('\n')[0]})`;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function ageMs(path: string): Promise<number | undefined> {
  const stats = await stat(path).catch(() => undefined);
  return stats === undefined ? undefined : Date.now() - stats.mtimeMs;
}

/** The line in which werkzeug tells the port it got. */
function announced(child: ChildProcess): Promise<string | undefined> {
  return new Promise(found => {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      // Read on after that, or the child would block on a full pipe.
      createInterface({ input: stream }).on('line', line => {
        const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(line) ?? [];
        if (url !== undefined) found(url);
      });
    }
  });
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise(found => {
    child.once('exit', () => found());
    child.once('error', () => found());
  });
}
