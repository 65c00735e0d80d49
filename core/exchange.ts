import type { UploadRefusal } from './agent-action.ts';
import type { ChunkFailure, UploadId } from './agent-input.ts';
import { type AgentSettings, slotCount } from './agent-settings.ts';
import { pickAsk } from './ask-picker.ts';
import { unreachable } from './assert.ts';
import { config } from './config.ts';
import type { Download } from './downloads.ts';
import type { Holdings } from './holdings.ts';
import type { AgentId, ChunkIndex, Millis } from './ids.ts';
import type { Neighbour } from './neighbour.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import { pickOffer } from './offer-picker.ts';
import type { Outbox } from './outbox.ts';
import type { PeerMessage, PeerUpdate } from './peer-message.ts';
import type { Rng } from './rng.ts';
import { type Upload, UploadSlots } from './upload-slots.ts';

/**
 * The trade between neighbours. The sender offers: it has a free upload slot and knows what its neighbours have and
 * receive; the receiver takes the offer by asking for the chunk, or declines. So nothing is sent twice and nobody polls.
 * A receiver that is offered nothing for a while asks by itself: that heals what lost messages broke.
 */
export class Exchange {
  readonly #holdings: Holdings;
  readonly #hood: Neighbourhood;
  readonly #out: Outbox;
  readonly #rng: Rng;
  /** Uploads at one time, and as many downloads from peers. */
  readonly #slots: number;
  readonly #uploads = new UploadSlots();
  /** Offers of ours that are not answered; each holds a slot. */
  #offersOut = 0;
  /** Nothing to offer to anybody until something changes: saves the scan. */
  #isExhausted = false;
  /** The last moment at which we had no reason to ask by ourselves. */
  #servedAt: Millis;
  #isLeaving = false;

  constructor(settings: AgentSettings, holdings: Holdings, hood: Neighbourhood, out: Outbox, rng: Rng, now: Millis) {
    this.#holdings = holdings;
    this.#hood = hood;
    this.#out = out;
    this.#rng = rng;
    this.#slots = slotCount(settings.flowsPerLink);
    this.#servedAt = now;
  }

  get isIdle(): boolean {
    return this.#uploads.isIdle && this.#offersOut === 0;
  }

  /** Take nothing new and offer nothing more. */
  leave(): void {
    this.#isLeaving = true;
  }

  /** Something that pickOffer looks at has changed. */
  refresh(): void {
    this.#isExhausted = false;
  }

  said(neighbour: Neighbour, message: PeerMessage, now: Millis): void {
    switch (message.kind) {
      case 'update':
        return this.#heardUpdate(neighbour, message);
      case 'offer':
        return this.#heardOffer(neighbour, message.chunk, now);
      case 'decline':
        return this.#heardDecline(neighbour, message.chunk, message.because, now);
      default:
        return unreachable(message);
    }
  }

  /** A request for a chunk: at once if there is a slot (an offer holds one), else in the queue, else not now. */
  asked(upload: Upload, now: Millis): void {
    const neighbour = this.#hood.neighbours.find(upload.peer);
    if (this.#hood.quarantine.holds(upload.peer, now)) return this.#refuse(upload.upload, { kind: 'quarantined' });
    if (!neighbour || this.#isLeaving || !this.#holdings.offerable.has(upload.chunk)) {
      return this.#refuse(upload.upload, { kind: 'gone' });
    }
    if (this.#uploads.serves(upload.peer, upload.chunk)) return this.#refuseBusy(upload.upload);
    if (neighbour.offers.delete(upload.chunk)) {
      this.#offersOut -= 1;
      return this.#serve(upload, neighbour);
    }
    if (this.#freeSlots > 0) return this.#serve(upload, neighbour);
    if (this.#uploads.queued < config.exchange.uploadQueueMax) return this.#uploads.enqueue(upload);
    return this.#refuseBusy(upload.upload);
  }

  uploadEnded(upload: UploadId, outcome: 'sent' | 'failed', now: Millis): void {
    const freed = this.#uploads.end(upload, outcome, now);
    if (freed) this.#freed(freed);
  }

  /** Fill the free upload slots: first who waits in the queue, then by offers. */
  fillSlots(now: Millis): void {
    while (this.#freeSlots > 0) {
      const waiting = this.#uploads.dequeue();
      if (!waiting) break;
      const neighbour = this.#hood.neighbours.find(waiting.peer);
      if (neighbour && this.#holdings.offerable.has(waiting.chunk)) this.#serve(waiting, neighbour);
      else this.#refuse(waiting.upload, { kind: 'gone' });
    }
    while (this.#freeSlots > 0 && !this.#isExhausted && !this.#isLeaving) this.#offerOne(now);
  }

  /** The download failed and its chunk cannot be passed on any more: break off who receives it from us. */
  withdraw(chunk: ChunkIndex): void {
    const { serving, queued } = this.#uploads.ofChunk(chunk);
    for (const upload of serving) this.#out.push({ kind: 'stop-upload', upload: upload.upload });
    for (const upload of queued) {
      this.#uploads.end(upload.upload, 'failed', 0);
      this.#refuse(upload.upload, { kind: 'gone' });
    }
  }

  /** What a failed download says of the peer that sent it. */
  blame(peer: AgentId, failure: ChunkFailure, now: Millis): void {
    const neighbour = this.#hood.neighbours.find(peer);
    switch (failure.kind) {
      case 'corrupt':
        return this.punish(peer, failure.passedOn ? 'strike' : 'convict', 'corrupt', now);
      case 'wrong-length':
        return this.punish(peer, 'strike', 'wrong-length', now);
      case 'refused':
        return this.punish(peer, 'strike', 'unreliable', now);
      case 'gone':
      case 'busy':
      case 'broken':
      case 'cancelled':
        // Not its fault, or told by its own input. It is asked again when it offers.
        if (neighbour) this.refresh();
        return;
      default:
        return unreachable(failure);
    }
  }

  punish(
    peer: AgentId,
    verdict: 'convict' | 'strike',
    reason: 'corrupt' | 'wrong-length' | 'stalled' | 'unreliable' | 'protocol',
    now: Millis,
  ): void {
    const neighbour = this.#hood.punish(peer, verdict, reason, now);
    if (neighbour) this.forget(neighbour);
  }

  /** No neighbour any more: its slots, offers and queue places are free. */
  forget(neighbour: Neighbour): void {
    this.#offersOut -= neighbour.offers.size;
    neighbour.offers.clear();
    this.#uploads.forget(neighbour.entry.agentId);
    this.refresh();
  }

  downloadEnded(download: Download): void {
    const neighbour = this.#senderOf(download);
    if (neighbour && neighbour.requestCount > 0) neighbour.requestCount -= 1;
  }

  /** The sender hears at once, not with the next batch of news: its slot is waiting for our word. */
  confirm(download: Download): void {
    const neighbour = this.#senderOf(download);
    if (!neighbour) return;
    neighbour.hasGiven = true;
    const message = { kind: 'update', have: [download.chunk], arriving: [], dropped: [] } as const;
    this.#out.push({ kind: 'tell', peer: neighbour.entry.agentId, message });
  }

  /** Everything that waits on a clock: stalled transfers, unanswered offers, slots never confirmed, nothing offered. */
  housekeep(now: Millis): void {
    this.#isExhausted = false;
    for (const download of this.#holdings.downloads) {
      if (!download.cancelled && now - download.progressedAt >= stallLimitMs(download)) this.#stalled(download, now);
    }
    for (const neighbour of this.#hood.neighbours.list) this.#expireOffers(neighbour, now);
    for (const upload of this.#uploads.expire(now - config.exchange.offerTimeoutMs)) this.#freed(upload);
    if (now - this.#servedAt >= config.exchange.askAfterMs) this.#ask(now);
  }

  #senderOf(download: Download): Neighbour | undefined {
    return download.source.kind === 'peer' ? this.#hood.neighbours.find(download.source.peer) : undefined;
  }

  get #freeSlots(): number {
    return this.#slots - this.#uploads.taken - this.#offersOut;
  }

  /** With few neighbours each may get several slots; with many, one each, so that the load spreads. */
  get #slotsPerNeighbour(): number {
    const share = Math.ceil(this.#slots / Math.max(1, this.#hood.neighbours.size));
    return Math.min(share, config.exchange.downloadsPerPeerMax);
  }

  #offerOne(now: Millis): void {
    const limits = {
      downloadsMax: this.#slots,
      perNeighbourMax: this.#slotsPerNeighbour,
      rarestOf: config.exchange.rarestOf,
    };
    const offer = pickOffer(this.#holdings.offerable, this.#hood.neighbours, limits, now, this.#rng);
    if (!offer) {
      this.#isExhausted = true;
      return;
    }
    offer.neighbour.offers.set(offer.chunk, now + config.exchange.offerTimeoutMs);
    this.#hood.neighbours.markArriving(offer.neighbour, offer.chunk);
    this.#offersOut += 1;
    this.#out.push({
      kind: 'tell',
      peer: offer.neighbour.entry.agentId,
      message: { kind: 'offer', chunk: offer.chunk },
    });
  }

  #serve(upload: Upload, neighbour: Neighbour): void {
    this.#uploads.start(upload);
    neighbour.uploadCount += 1;
    this.#hood.neighbours.markArriving(neighbour, upload.chunk);
    this.#out.push({ kind: 'serve-chunk', upload: upload.upload, chunk: upload.chunk });
  }

  #refuse(upload: UploadId, refusal: UploadRefusal): void {
    this.#out.push({ kind: 'refuse-upload', upload, refusal });
  }

  #refuseBusy(upload: UploadId): void {
    this.#refuse(upload, { kind: 'busy', retryAfterMs: config.exchange.askAfterMs });
  }

  #freed(upload: Upload): void {
    const neighbour = this.#hood.neighbours.find(upload.peer);
    if (neighbour && neighbour.uploadCount > 0) neighbour.uploadCount -= 1;
    this.refresh();
  }

  #heardUpdate(neighbour: Neighbour, update: PeerUpdate): void {
    this.#hood.neighbours.apply(neighbour, update);
    for (const chunk of update.have) {
      for (const upload of this.#uploads.confirm(neighbour.entry.agentId, chunk)) this.#freed(upload);
    }
    if (update.have.length + update.dropped.length > 0) this.refresh();
  }

  #heardOffer(neighbour: Neighbour, chunk: ChunkIndex, now: Millis): void {
    this.#servedAt = now;
    const because = this.#whyDecline(neighbour, chunk);
    if (!because) return this.#request(neighbour, chunk, now);
    this.#out.push({ kind: 'tell', peer: neighbour.entry.agentId, message: { kind: 'decline', chunk, because } });
  }

  #whyDecline(neighbour: Neighbour, chunk: ChunkIndex): 'had' | 'full' | undefined {
    if (!this.#holdings.lacks(chunk)) return 'had';
    if (this.#isLeaving || this.#holdings.downloads.fromPeers >= this.#slots) return 'full';
    return neighbour.requestCount >= config.exchange.downloadsPerPeerMax ? 'full' : undefined;
  }

  #request(neighbour: Neighbour, chunk: ChunkIndex, now: Millis): void {
    const peer = neighbour.entry.agentId;
    neighbour.requestCount += 1;
    this.#holdings.start(chunk, { kind: 'peer', peer }, now);
    this.#out.push({ kind: 'request-chunk', peer, chunk });
  }

  #heardDecline(neighbour: Neighbour, chunk: ChunkIndex, because: 'had' | 'full', now: Millis): void {
    if (!neighbour.offers.delete(chunk)) return;
    this.#offersOut -= 1;
    // Had: the mark stays, its own update follows. Full: the chunk may be offered again, to it or by others.
    if (because === 'full') {
      this.#hood.neighbours.clearArriving(neighbour, chunk);
      neighbour.fullUntil = now + config.exchange.declineBackoffMs;
    }
    this.refresh();
  }

  #expireOffers(neighbour: Neighbour, now: Millis): void {
    for (const [chunk, deadline] of neighbour.offers) {
      if (deadline > now) continue;
      neighbour.offers.delete(chunk);
      this.#offersOut -= 1;
      this.#hood.neighbours.clearArriving(neighbour, chunk);
      neighbour.fullUntil = now + config.exchange.offerTimeoutMs;
    }
  }

  #stalled(download: Download, now: Millis): void {
    download.cancelled = true;
    const { chunk, source } = download;
    this.#out.push({ kind: 'cancel-transfer', chunk, source, why: 'stalled' });
    if (source.kind !== 'peer') return;
    const neighbour = this.#hood.neighbours.find(source.peer);
    if (!neighbour) return;
    neighbour.stallCount += 1;
    // A sender that only passes the chunk on may wait for its own: it gets the benefit of the doubt for a while.
    if (download.passedOn && neighbour.stallCount < config.exchange.strikesMax) return;
    this.punish(source.peer, 'strike', 'stalled', now);
  }

  #ask(now: Millis): void {
    const { list } = this.#hood.neighbours;
    if (this.#isLeaving || this.#holdings.have.isFull || list.length === 0) return;
    this.#servedAt = now;
    const start = this.#rng.below(list.length);
    for (let step = 0; step < list.length; step += 1) {
      if (this.#holdings.downloads.fromPeers >= this.#slots) return;
      const neighbour = list[(start + step) % list.length] as Neighbour;
      const chunk = neighbour.requestCount === 0 ? pickAsk(this.#holdings, neighbour, this.#rng) : undefined;
      if (chunk !== undefined) this.#request(neighbour, chunk, now);
    }
  }
}

/** A sender that waits for its own source is given time to say so first (`gone`), and is then not blamed for it. */
function stallLimitMs(download: Download): Millis {
  return config.exchange.stalledMs + (download.passedOn ? config.exchange.passedOnGraceMs : 0);
}
