import { join } from 'node:path';
import type { Manifest } from '../../core/manifest.ts';

/** Where a job's tree lies: entries inside `root` while it is received, and at the destination once it is placed. */
export type TreeLocation =
  | { readonly kind: 'partial'; readonly root: string }
  | { readonly kind: 'placed'; readonly destination: string };

/** Where an entry lies. A single file's entry, once placed, is the destination itself. */
export function locateEntry(root: Manifest['root'], location: TreeLocation, entryPath: string): string {
  if (location.kind === 'partial') return join(location.root, entryPath);
  return root === 'file' ? location.destination : join(location.destination, entryPath);
}
