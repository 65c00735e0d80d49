import { parsePeerEntry } from '../../../core/peer-message.ts';
import { MemoryChunkStore } from './memory-chunk-store.ts';
import { contents, KiB, linked, TestPeer } from './test-peer.ts';

/**
 * A peer in a process of its own.
 *
 * - `join <entry>`: dials the peer, serves until it is killed.
 * - `leave`: three peers trade here and close; the process must then end by itself.
 */
const [mode, argument] = process.argv.slice(2);

if (mode === 'join') {
  const peer = await new TestPeer('child', { store: MemoryChunkStore.holding(contents(4, 256 * KiB)) }).listen();
  peer.transport.connect(parsePeerEntry(JSON.parse(argument ?? '')));
} else {
  const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(name => new TestPeer(name).listen()));
  if (!a || !b || !c) throw new Error('three peers');
  await Promise.all([linked(a, b), linked(b, c), linked(c, a)]);
  a.answer = () => undefined;
  const unanswered = b.download(a.id, 0);
  await Promise.all([a.sees('asked b 0'), c.download(b.id, 1), a.download(c.id, 2)]);
  a.transport.disconnect(c.id);
  // Nobody is there any more: a link that is being made when the transport closes.
  a.transport.connect({ ...c.entry, agentId: b.id, port: 9 });
  await Promise.all([a, b, c].map(peer => peer.transport.close()));
  await unanswered;
  process.stdout.write('left\n');
}
