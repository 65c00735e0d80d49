import type { Palette } from '../../../agent/progress/palette.ts';

const same = (text: string): string => text;

/** No colours: what is left is what a reader of a log sees. */
export const plainPalette: Palette = {
  origin: same,
  peers: same,
  disk: same,
  strong: same,
  faint: same,
  good: same,
  bad: same,
};
