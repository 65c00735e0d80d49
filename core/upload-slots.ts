import type { UploadId } from './agent-input.ts';
import type { AgentId, ChunkIndex, Millis } from './ids.ts';

export type Upload = { readonly upload: UploadId; readonly peer: AgentId; readonly chunk: ChunkIndex };

type Serving = Upload & {
  /** The receiver says that it has the chunk: the slot is free, whatever the network stack still reports. */
  confirmed: boolean;
  /** The last byte was handed to the network at this moment; the receiver's word is still awaited. */
  endedAt: Millis | undefined;
};

/**
 * Whom we serve. A slot is taken by an upload until the RECEIVER says it has the chunk: our network stack calls a
 * chunk sent when it lies in the kernel's buffers (field/prototype.md, pitfall 7). Requests beyond the slots wait in
 * a short queue; beyond that they are refused.
 */
export class UploadSlots {
  readonly #serving = new Map<UploadId, Serving>();
  readonly #queue: Upload[] = [];
  #taken = 0;

  /** Slots in use by uploads; offers that are out are counted by their owner. */
  get taken(): number {
    return this.#taken;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get isIdle(): boolean {
    return this.#serving.size === 0;
  }

  serves(peer: AgentId, chunk: ChunkIndex): boolean {
    for (const upload of this.#serving.values()) if (upload.peer === peer && upload.chunk === chunk) return true;
    return this.#queue.some(upload => upload.peer === peer && upload.chunk === chunk);
  }

  start(upload: Upload): void {
    this.#serving.set(upload.upload, { ...upload, confirmed: false, endedAt: undefined });
    this.#taken += 1;
  }

  enqueue(upload: Upload): void {
    this.#queue.push(upload);
  }

  dequeue(): Upload | undefined {
    return this.#queue.shift();
  }

  /** The receiver told all its neighbours that it has the chunk. Returns the uploads whose slots are free now. */
  confirm(peer: AgentId, chunk: ChunkIndex): readonly Upload[] {
    const freed: Upload[] = [];
    for (const serving of this.#serving.values()) {
      if (serving.peer !== peer || serving.chunk !== chunk || serving.confirmed) continue;
      serving.confirmed = true;
      this.#taken -= 1;
      freed.push(serving);
      if (serving.endedAt !== undefined) this.#serving.delete(serving.upload);
    }
    return freed;
  }

  /** Our side is done. Returns the upload if its slot is free now: at once after a failure, else on the receiver's word. */
  end(upload: UploadId, outcome: 'sent' | 'failed', now: Millis): Upload | undefined {
    const serving = this.#serving.get(upload);
    if (!serving) {
      const position = this.#queue.findIndex(queued => queued.upload === upload);
      if (position >= 0) this.#queue.splice(position, 1);
      return undefined;
    }
    if (serving.confirmed) {
      this.#serving.delete(upload);
      return undefined;
    }
    if (outcome === 'sent') {
      serving.endedAt = now;
      return undefined;
    }
    return this.#release(serving);
  }

  /** Uploads that were sent before `sentBefore` and never confirmed: their slots are free now. */
  expire(sentBefore: Millis): readonly Upload[] {
    const expired: Upload[] = [];
    for (const serving of this.#serving.values()) {
      if (serving.endedAt !== undefined && serving.endedAt < sentBefore) expired.push(this.#release(serving));
    }
    return expired;
  }

  /** The peer is gone. Its queued requests are forgotten; running uploads free their slots. */
  forget(peer: AgentId): void {
    for (const serving of this.#serving.values()) {
      if (serving.peer !== peer) continue;
      if (serving.confirmed) this.#serving.delete(serving.upload);
      else this.#release(serving);
    }
    for (let index = this.#queue.length - 1; index >= 0; index -= 1) {
      if ((this.#queue[index] as Upload).peer === peer) this.#queue.splice(index, 1);
    }
  }

  /** Running or queued uploads of a chunk that we no longer can send on. */
  ofChunk(chunk: ChunkIndex): { readonly serving: readonly Upload[]; readonly queued: readonly Upload[] } {
    const serving = [...this.#serving.values()].filter(
      upload => upload.chunk === chunk && upload.endedAt === undefined,
    );
    const queued = this.#queue.filter(upload => upload.chunk === chunk);
    return { serving, queued };
  }

  #release(serving: Serving): Upload {
    this.#serving.delete(serving.upload);
    this.#taken -= 1;
    return serving;
  }
}
