import type { Entry, Manifest } from './manifest.ts';

/** The first thing in which two manifests of one job differ, in words for the publisher of `ours`; `undefined` if nothing. */
export function manifestDifference(theirs: Manifest, ours: Manifest): string | undefined {
  if (theirs.root !== ours.root) return `it is a ${theirs.root}`;
  const places = new Map(theirs.entries.map(entry => [entry.path, entry]));
  for (const entry of ours.entries) {
    const other = places.get(entry.path);
    if (other === undefined) return `it has no ${JSON.stringify(entry.path)}`;
    const difference = entryDifference(other, entry);
    if (difference !== undefined) return `${JSON.stringify(entry.path)} ${difference}`;
    places.delete(entry.path);
  }
  for (const path of places.keys()) return `it has ${JSON.stringify(path)} as well`;
  if (theirs.chunkLengthBytes !== ours.chunkLengthBytes) {
    return `its chunks have ${theirs.chunkLengthBytes} bytes, not ${ours.chunkLengthBytes}`;
  }
  const chunk = ours.chunks.findIndex(({ sha256 }, index) => theirs.chunks[index]?.sha256 !== sha256);
  if (chunk >= 0) return `the bytes of ${JSON.stringify(pathAt(ours, chunk))} differ, or of a file in the same chunk`;
  return theirs.source.key === ours.source.key ? undefined : 'its bytes lie under another key';
}

function entryDifference(theirs: Entry, ours: Entry): string | undefined {
  if (theirs.kind !== ours.kind) return `is a ${theirs.kind} there`;
  if (theirs.kind === 'symlink' && ours.kind === 'symlink') {
    return theirs.target === ours.target ? undefined : `points to ${JSON.stringify(theirs.target)} there`;
  }
  if (theirs.kind === 'file' && ours.kind === 'file' && theirs.lengthBytes !== ours.lengthBytes) {
    return `has ${theirs.lengthBytes} bytes there, ${ours.lengthBytes} here`;
  }
  if (theirs.kind === 'symlink' || ours.kind === 'symlink' || theirs.mode === ours.mode) return undefined;
  return `has mode ${theirs.mode.toString(8)} there, ${ours.mode.toString(8)} here`;
}

/** A file that holds bytes of the chunk: the last one that starts in it or before it. */
function pathAt(manifest: Manifest, chunk: number): string | undefined {
  let found: { readonly path: string; readonly firstChunk: number } | undefined;
  for (const entry of manifest.entries) {
    if (entry.kind !== 'file' || entry.lengthBytes === 0 || entry.firstChunk > chunk) continue;
    if (found === undefined || entry.firstChunk >= found.firstChunk) found = entry;
  }
  return found?.path;
}
