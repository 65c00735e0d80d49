import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChunkSet } from '../../core/chunk-set.ts';
import { parseAgentId, parseBootId } from '../../core/ids.ts';
import { type LeaseHolder, LeaseLedger } from '../../core/lease-ledger.ts';

const NOTHING = new ChunkSet(70);
const ann = holderOf('ann');
const bob = holderOf('bob');

test('free chunks come in index order, without those the asker has', () => {
  const ledger = new LeaseLedger(70);
  ledger.grant(0, ann, { startsAt: 0, expiresAt: 10 });
  ledger.deliver(1);

  expect(ledger.freeChunks(ChunkSet.of(70, [2, 33]), 3)).toEqual([3, 4, 5]);
  expect(ledger.freeChunks(ChunkSet.full(70), 3)).toEqual([]);
  expect(ledger.freeChunks(NOTHING, 100)).toHaveLength(68);
  expect(ledger.freeCount).toBe(68);
});

test('a chunk that was freed is found again, though all before it are taken', () => {
  const ledger = new LeaseLedger(70);
  for (let chunk = 0; chunk < 70; chunk += 1) ledger.deliver(chunk);
  expect(ledger.freeChunks(NOTHING, 1)).toEqual([]);

  ledger.lose(5);

  expect(ledger.freeChunks(NOTHING, 9)).toEqual([5]);
});

test('a chunk under a lease cannot be leased again', () => {
  const ledger = new LeaseLedger(70);
  ledger.grant(3, ann, { startsAt: 0, expiresAt: 10 });

  expect(() => ledger.grant(3, bob, { startsAt: 0, expiresAt: 10 })).toThrow('chunk 3');
});

describe('an expired lease', () => {
  test('is free from the moment of its expiry, not before', () => {
    const ledger = new LeaseLedger(70);
    ledger.grant(3, ann, { startsAt: 0, expiresAt: 10 });

    ledger.reclaimExpired(9);
    expect(ledger.outstanding).toBe(1);
    ledger.reclaimExpired(10);
    expect(ledger.outstanding).toBe(0);
  });

  test('lives on when its holder renews it in time', () => {
    const ledger = new LeaseLedger(70);
    ledger.grant(3, ann, { startsAt: 0, expiresAt: 10 });
    ledger.renew(3, ann, 20);

    ledger.reclaimExpired(10);
    expect(ledger.heldBy(ann.agentId)).toEqual([3]);
    ledger.reclaimExpired(20);
    expect(ledger.heldBy(ann.agentId)).toEqual([]);
  });
});

test('a pull that the ledger does not know becomes a lease; it takes nothing from another holder', () => {
  const ledger = new LeaseLedger(70);
  ledger.grant(3, ann, { startsAt: 0, expiresAt: 10 });
  ledger.deliver(4);

  for (const chunk of [3, 4, 5]) ledger.renew(chunk, bob, 20);

  expect(ledger.heldBy(bob.agentId)).toEqual([5]);
  expect(ledger.heldBy(ann.agentId)).toEqual([3]);
});

test('another run of the same agent does not renew the lease of the first', () => {
  const ledger = new LeaseLedger(70);
  ledger.grant(3, ann, { startsAt: 0, expiresAt: 10 });

  ledger.renew(3, { ...ann, bootId: parseBootId('boot-2') }, 20);

  ledger.reclaimExpired(10);
  expect(ledger.outstanding).toBe(0);
});

test('a delivery ends the lease and tells whose it was', () => {
  const ledger = new LeaseLedger(70);
  ledger.grant(3, ann, { startsAt: 2, expiresAt: 10 });

  expect(ledger.deliver(3)).toEqual({ chunk: 3, holder: ann, startsAt: 2, expiresAt: 10 });
  expect(ledger.deliver(3)).toBeUndefined();
  expect(ledger.outstanding).toBe(0);
  expect(ledger.isDelivered(3)).toBe(true);
});

/** One chunk of the dumb twin. */
type Chunk = 'free' | 'delivered' | { holder: LeaseHolder; expiresAt: number };
type Step = { readonly do: string; readonly chunk: number; readonly who: LeaseHolder; readonly at: number };

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom('grant', 'renew', 'release', 'release-all', 'deliver', 'lose', 'expire', 'store'),
  chunk: fc.nat({ max: 69 }),
  who: fc.constantFrom(ann, bob, holderOf('eve')),
  at: fc.nat({ max: 50 }),
});

test('behaves as a list of chunks would, whatever is done with it, also when stored and restored between', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      let ledger = new LeaseLedger(70);
      const twin: Chunk[] = new Array<Chunk>(70).fill('free');
      for (const taken of steps) {
        ledger = apply(ledger, twin, taken);
        ledger.assertInvariants();
        const free = twin.flatMap((chunk, index) => (chunk === 'free' ? [index] : []));
        const leased = twin.flatMap((chunk, index) => (typeof chunk === 'object' ? [{ index, ...chunk }] : []));
        expect(ledger.freeChunks(NOTHING, 100)).toEqual(free);
        expect(ledger.freeCount).toBe(free.length);
        expect(ledger.outstanding).toBe(leased.length);
        for (const { index, holder } of leased) expect(ledger.heldBy(holder.agentId)).toContain(index);
      }
    }),
  );
});

function apply(ledger: LeaseLedger, twin: Chunk[], { do: what, chunk, who, at }: Step): LeaseLedger {
  const now = twin[chunk] ?? 'free';
  const isLeased = typeof now === 'object';
  switch (what) {
    case 'grant':
      if (now !== 'free') break;
      ledger.grant(chunk, who, { startsAt: at, expiresAt: at + 10 });
      twin[chunk] = { holder: who, expiresAt: at + 10 };
      break;
    case 'renew':
      ledger.renew(chunk, who, at + 10);
      if (now === 'free') twin[chunk] = { holder: who, expiresAt: at + 10 };
      if (isLeased && now.holder === who) now.expiresAt = Math.max(now.expiresAt, at + 10);
      break;
    case 'release':
      ledger.release(chunk);
      if (isLeased) twin[chunk] = 'free';
      break;
    case 'release-all':
      ledger.releaseAllOf(who.agentId);
      freeWhere(twin, lease => lease.holder === who);
      break;
    case 'deliver':
      ledger.deliver(chunk);
      twin[chunk] = 'delivered';
      break;
    case 'lose':
      ledger.lose(chunk);
      if (now === 'delivered') twin[chunk] = 'free';
      break;
    case 'expire':
      ledger.reclaimExpired(at);
      freeWhere(twin, lease => lease.expiresAt <= at);
      break;
    default:
      return LeaseLedger.restore(JSON.parse(JSON.stringify(ledger.state)));
  }
  return ledger;
}

function freeWhere(twin: Chunk[], isFreed: (lease: Exclude<Chunk, string>) => boolean): void {
  for (const [index, chunk] of twin.entries()) if (typeof chunk === 'object' && isFreed(chunk)) twin[index] = 'free';
}

function holderOf(name: string): LeaseHolder {
  return { agentId: parseAgentId(name), bootId: parseBootId('boot-1') };
}
