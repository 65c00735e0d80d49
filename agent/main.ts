#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import process from 'node:process';
import { isNodeTooOld, NODE_VERSION_MIN } from './node-version.ts';
import { keepYoungHeapSmall } from './young-heap.ts';

// The reader may leave before the end (`agent status | head`): that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const exitCode = await run();
// What is still open (idle connections, say) must not hold up the shell; what was printed must be out.
process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));

async function run(): Promise<number> {
  if (isNodeTooOld(process.versions.node)) {
    process.stderr.write(
      `error: this is Node ${process.version}, too old\nnext: use Node ${NODE_VERSION_MIN} or later\n`,
    );
    return 2;
  }
  keepYoungHeapSmall();
  // In the system's temporary directory: the second start costs half of the first, which strips types or parses the bundle.
  enableCompileCache();
  // Only now: an old Node fails while it loads what this imports.
  const { runCommandLine } = await import('./command-line.ts');
  return runCommandLine(process.argv.slice(2));
}
