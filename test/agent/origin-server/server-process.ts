import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startOriginServer } from '../../../agent/origin-server/origin-server.ts';

export type ServerProcess = { readonly port: number; readonly kill: () => Promise<void> };

/** An origin server in a process of its own, to be killed as a crash would. Port 0: any. */
export async function forkOriginServer(dataDir: string, port: number): Promise<ServerProcess> {
  const child = fork(fileURLToPath(import.meta.url), [dataDir, String(port)]);
  const taken = await new Promise<number>((resolve, reject) => {
    child.once('message', message => resolve(Number(message)));
    child.once('exit', code => reject(new Error(`the server ended with ${code}`)));
  });
  return { port: taken, kill: () => kill(child) };
}

function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise(resolve => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , dataDir = '', port = '0'] = process.argv;
  // A test run that is killed takes its servers with it.
  process.once('disconnect', () => process.exit(1));
  const settings = { dataDir, host: '127.0.0.1', port: Number(port), token: undefined, tracker: undefined };
  const server = await startOriginServer(settings);
  process.send?.(server.port);
}
