import type { AgentId, ChunkIndex } from './ids.ts';
import { Neighbour } from './neighbour.ts';
import type { PeerHello, PeerUpdate } from './peer-message.ts';

/** Our neighbours, and for every chunk how many of them have it or receive it. */
export class NeighbourSet {
  /** copies[chunk]: neighbours that have the chunk, receive it, or are offered it by us. */
  readonly copies: Uint16Array;
  readonly #byId = new Map<AgentId, Neighbour>();
  /** The same neighbours, for policies that start at a random one. Order is arrival, with holes filled by the last. */
  readonly list: Neighbour[] = [];

  constructor(chunkCount: number) {
    this.copies = new Uint16Array(chunkCount);
  }

  get size(): number {
    return this.list.length;
  }

  find(peer: AgentId): Neighbour | undefined {
    return this.#byId.get(peer);
  }

  add(hello: PeerHello): Neighbour {
    this.remove(hello.from.agentId);
    const neighbour = new Neighbour(hello);
    this.#byId.set(hello.from.agentId, neighbour);
    this.list.push(neighbour);
    for (const chunk of hello.have) this.markHave(neighbour, chunk);
    for (const chunk of hello.arriving) this.markArriving(neighbour, chunk);
    return neighbour;
  }

  remove(peer: AgentId): Neighbour | undefined {
    const neighbour = this.#byId.get(peer);
    if (!neighbour) return undefined;
    for (const chunk of neighbour.have) this.#count(chunk, -1);
    for (const chunk of neighbour.arriving) this.#count(chunk, -1);
    this.#byId.delete(peer);
    const last = this.list.pop() as Neighbour;
    if (last !== neighbour) this.list[this.list.indexOf(neighbour)] = last;
    return neighbour;
  }

  /** The chunks that were `arriving` and are now neither: others may offer them. */
  apply(neighbour: Neighbour, update: PeerUpdate): void {
    for (const chunk of update.arriving) this.markArriving(neighbour, chunk);
    for (const chunk of update.have) this.markHave(neighbour, chunk);
    // A dropped chunk that we are offering stays marked until the offer is answered.
    for (const chunk of update.dropped) if (!neighbour.offers.has(chunk)) this.clearArriving(neighbour, chunk);
  }

  markHave(neighbour: Neighbour, chunk: ChunkIndex): void {
    if (!neighbour.have.add(chunk)) return;
    if (!neighbour.arriving.delete(chunk)) this.#count(chunk, 1);
  }

  markArriving(neighbour: Neighbour, chunk: ChunkIndex): void {
    if (neighbour.have.has(chunk)) return;
    if (neighbour.arriving.add(chunk)) this.#count(chunk, 1);
  }

  clearArriving(neighbour: Neighbour, chunk: ChunkIndex): void {
    if (neighbour.arriving.delete(chunk)) this.#count(chunk, -1);
  }

  #count(chunk: ChunkIndex, change: number): void {
    this.copies[chunk] = (this.copies[chunk] as number) + change;
  }
}
