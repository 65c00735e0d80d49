import fc from 'fast-check';
import { parseJobId } from '../../core/ids.ts';
import { MANIFEST_FORMAT, type Manifest } from '../../core/manifest.ts';
import { layOutTree, type ScannedEntry } from '../../core/tree-layout.ts';

const name = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    'weights',
    'model-00001.safetensors',
    'mit Leerzeichen',
    'снег',
    '雪',
    '🐦',
    '.hidden',
    '-r',
    'a.b',
  ),
  fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
    .filter(text => text.isWellFormed() && !/[/\\\0]/.test(text) && text !== '.' && text !== '..'),
);

type Node = { readonly kind: 'file' | 'directory' | 'symlink'; readonly name: string; readonly within: number };

/** Trees of directories, files of all sizes around `chunkLengthBytes`, and symlinks to a sibling; sorted by path. */
export function scannedTree(chunkLengthBytes: number): fc.Arbitrary<ScannedEntry[]> {
  const lengthBytes = fc.oneof(
    fc.constantFrom(0, 1, chunkLengthBytes - 1, chunkLengthBytes, chunkLengthBytes + 1, 3 * chunkLengthBytes),
    fc.nat(4 * chunkLengthBytes),
    fc.nat(Math.ceil(chunkLengthBytes / 4)),
  );
  const node = fc.record({
    kind: fc.constantFrom<Node['kind']>('file', 'file', 'file', 'directory', 'symlink'),
    name,
    within: fc.nat(),
    lengthBytes,
    mode: fc.constantFrom(0o644, 0o755, 0o444, 0o600),
  });
  return fc.array(node, { maxLength: 40 }).map(nodes => {
    const entries = new Map<string, ScannedEntry>();
    const directories = [''];
    for (const { kind, name, within, lengthBytes, mode } of nodes) {
      const path = `${directories[within % directories.length]}${name}`;
      if (entries.has(path)) continue;
      if (kind === 'directory') directories.push(`${path}/`);
      if (kind === 'file') entries.set(path, { kind, path, mode, lengthBytes });
      else if (kind === 'directory') entries.set(path, { kind, path, mode: 0o755 });
      else entries.set(path, { kind, path, target: `./${name}-not-there` });
    }
    return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  });
}

/** A manifest of such a tree; its digests are made up. */
export const anyManifest: fc.Arbitrary<Manifest> = fc
  .constantFrom(1, 7, 64, 1000)
  .chain(chunkLengthBytes => scannedTree(chunkLengthBytes).map(tree => manifestOf(tree, chunkLengthBytes)));

export function manifestOf(
  scanned: readonly ScannedEntry[],
  chunkLengthBytes: number,
  root: Manifest['root'] = 'directory',
): Manifest {
  const layout = layOutTree(scanned, chunkLengthBytes);
  return {
    format: MANIFEST_FORMAT,
    job: parseJobId('job-1'),
    root,
    chunkLengthBytes,
    lengthBytes: layout.lengthBytes,
    chunks: layout.chunkLengths.map((lengthBytes, index) => ({
      sha256: index.toString(16).padStart(64, '0'),
      lengthBytes,
    })),
    entries: layout.entries,
    source: { key: 'jobs/job-1/data-0123456789abcdef' },
  };
}
