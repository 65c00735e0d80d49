import process from 'node:process';
import { runCommandLine } from '../agent/command-line.ts';

// The agent as it would be without agent/young-heap.ts; for bench/young-heap.ts to compare with.
process.exit(await runCommandLine(process.argv.slice(2)));
