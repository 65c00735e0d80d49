import { describe, expect, test } from 'vitest';
import type { FetchProgress } from '../../../agent/fetch-progress.ts';
import { barPartsOf, fetchPicture, percentOf } from '../../../agent/progress/fetch-picture.ts';
import { parseJobId } from '../../../core/ids.ts';
import { plainPalette } from './plain-palette.ts';

const MiB = 1024 ** 2;
const half: FetchProgress = {
  phase: 'fetching',
  job: parseJobId('llama-7'),
  chunkCount: 100,
  haveCount: 50,
  lengthBytes: 100 * MiB,
  haveBytes: 50 * MiB,
  resumedBytes: 10 * MiB,
  bytesFromOrigin: 10 * MiB,
  bytesFromPeers: 30 * MiB,
  bytesUploaded: 45 * MiB,
  duplicateBytes: 0,
  rateBytesPerSecond: 25 * MiB,
  neighbourCount: 7,
  discovery: 'tracker',
  quarantined: [],
  elapsedMs: 2000,
  etaMs: 2000,
};

describe('a fetch half done', () => {
  test('shows rate, time left, and where the bytes came from on a terminal', () => {
    const [first = '', second = ''] = fetchPicture(half, plainPalette).frame({ columns: 120, rows: 30 }).split('\n');

    expect(first).toMatch(/^llama-7 {2}▒+▓+█+·+ {3}50\.0 % {2}50\.0 MiB of 100\.0 MiB {2}25\.0 MiB\/s {2}2\.0 s left$/);
    expect(first.length).toBeLessThanOrEqual(120);
    expect(second).toBe('▓ origin 10.0 MiB · █ peers 30.0 MiB · ▒ on disk 10.0 MiB · sent 45.0 MiB · 7 neighbours');
  });

  test('puts the bar below where the terminal is narrow', () => {
    const rows = fetchPicture(half, plainPalette).frame({ columns: 60, rows: 30 }).split('\n');

    expect(rows[0]).toMatch(/^llama-7 {3}50\.0 %/);
    expect(rows[1]).toMatch(/^▒{6}▓{6}█{18}·{30}$/);
  });

  test('says the same in one line for a log', () => {
    expect(fetchPicture(half, plainPalette).line()).toBe(
      'fetching llama-7 50.0 %, 50.0 MiB of 100.0 MiB, 25.0 MiB/s  2.0 s left, origin 10.0 MiB, peers 30.0 MiB, sent 45.0 MiB, 7 neighbours',
    );
  });

  test('gives machines every number, and the percent', () => {
    expect(JSON.parse(JSON.stringify(fetchPicture(half, plainPalette).json()))).toEqual({
      kind: 'progress',
      percent: 50,
      ...half,
    });
  });

  test('fills the bar by source, and only as far as chunks are verified', () => {
    expect(barPartsOf(half).map(({ share, from }) => [from, Math.round(share * 100)])).toEqual([
      ['disk', 10],
      ['origin', 10],
      ['peers', 30],
    ]);
  });
});

test('who is quarantined and why is shown, at most three by name', () => {
  const quarantined = ['a', 'b', 'c', 'd', 'e'].map(peer => ({ peer, reason: 'corrupt', forMs: 5000 }));

  const frame = fetchPicture({ ...half, quarantined }, plainPalette).frame({ columns: 120, rows: 30 });

  expect(frame).toContain('quarantined a for 5.0 s: corrupt');
  expect(frame).toContain('quarantined 2 more');
});

test('it is told when the tracker is away', () => {
  const away = { ...half, discovery: 'rendezvous' } as const;

  expect(fetchPicture(away, plainPalette).line()).toContain('tracker away');
  expect(fetchPicture(half, plainPalette).line()).not.toContain('tracker');
});

test('100 percent means complete: it is never rounded up to', () => {
  expect(percentOf({ phase: 'fetching', lengthBytes: 1_000_000, haveBytes: 999_999 })).toBe(99.9);
  expect(percentOf({ phase: 'fetching', lengthBytes: 1_000_000, haveBytes: 1_000_000 })).toBe(100);
});

test('a job without bytes is complete once it is known, not before', () => {
  expect(percentOf({ phase: 'starting', lengthBytes: 0, haveBytes: 0 })).toBe(0);
  expect(percentOf({ phase: 'placing', lengthBytes: 0, haveBytes: 0 })).toBe(100);
});
