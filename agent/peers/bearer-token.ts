import { hash, timingSafeEqual } from 'node:crypto';

/** The secret of one job's agents, as it stands in the `authorization` header. */
export class BearerToken {
  readonly header: string;
  readonly #digest: Buffer;

  constructor(token: string) {
    this.header = `Bearer ${token}`;
    this.#digest = digestOf(this.header);
  }

  /** Takes the same time for every wrong header of one length: digests are compared, not the texts. */
  accepts(header: string | undefined): boolean {
    return header !== undefined && timingSafeEqual(digestOf(header), this.#digest);
  }
}

function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
