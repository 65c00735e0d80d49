import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { removeTree } from '../../../agent/disk/placement.ts';

/** A directory that is gone when the test is over, read-only trees in it included. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'starling-test-'));
  onTestFinished(() => removeTree(path));
  return path;
}
