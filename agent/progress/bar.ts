import type { Palette } from './palette.ts';

export type BarPart = {
  /** 0..1 of the whole bar; what the parts leave is missing. */
  readonly share: number;
  readonly from: 'disk' | 'origin' | 'peers';
};

// Different also without colours.
const CELLS = { disk: '▒', origin: '▓', peers: '█', missing: '·' } as const;

/**
 * One row of `width` cells. Boundaries are rounded, not lengths, so that the parts always add up; a bar is full only
 * when the shares are.
 */
export function drawBar(parts: readonly BarPart[], width: number, palette: Palette): string {
  let drawn = '';
  let share = 0;
  let cells = 0;
  for (const part of parts) {
    share = Math.min(1, share + part.share);
    const end = share >= 1 - 1e-9 ? width : Math.min(width - 1, Math.round(share * width));
    const length = Math.max(0, end - cells);
    drawn += palette[part.from](CELLS[part.from].repeat(length));
    cells += length;
  }
  return drawn + palette.faint(CELLS.missing.repeat(width - cells));
}
