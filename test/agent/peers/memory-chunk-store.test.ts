import { hash } from 'node:crypto';
import { MANIFEST_FORMAT } from '../../../core/manifest.ts';
import { describeChunkStore } from '../../conformance/chunk-store.ts';
import { MemoryChunkStore } from './memory-chunk-store.ts';
import { contents, JOB, KiB } from './test-peer.ts';

// What the transport's tests run on must keep the same promises as the disk.
describeChunkStore('MemoryChunkStore', async () => {
  const lengthBytes = 600 * KiB;
  const chunks = contents(4, lengthBytes);
  const listed = chunks.map(bytes => ({ sha256: hash('sha256', bytes), lengthBytes }));
  const store = new MemoryChunkStore(listed);
  const manifest = {
    format: MANIFEST_FORMAT,
    job: JOB,
    root: 'file',
    chunkLengthBytes: lengthBytes,
    lengthBytes: 4 * lengthBytes,
    chunks: listed,
    entries: [{ kind: 'file', path: 'film', mode: 0o644, lengthBytes: 4 * lengthBytes, firstChunk: 0, offsetBytes: 0 }],
    source: { key: 'film' },
  } as const;
  return { store, manifest, chunks, cleanUp: () => store.close() };
});
