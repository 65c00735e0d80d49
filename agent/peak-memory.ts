import { readFileSync } from 'node:fs';
import type { Bytes } from '../core/ids.ts';

/**
 * The most memory a process ever held (VmHWM). Not getrusage's maximum: that one a child inherits from the process
 * that spawned it. `undefined` where there is no /proc, or the process is gone.
 */
export function readPeakMemory(pid: number | 'self'): Bytes | undefined {
  try {
    const match = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return match === null ? undefined : Number(match[1]) * 1024;
  } catch {
    // ENOENT or ESRCH: no such process, or no such file system.
    return undefined;
  }
}
