import { styleText } from 'node:util';

/** Colours by meaning. Plain text where the stream is no terminal or NO_COLOR is set. */
export type Palette = {
  readonly origin: Paint;
  readonly peers: Paint;
  readonly disk: Paint;
  readonly strong: Paint;
  readonly faint: Paint;
  readonly good: Paint;
  readonly bad: Paint;
};
export type Paint = (text: string) => string;

export function paletteFor(stream: NodeJS.WritableStream): Palette {
  const paint =
    (format: Parameters<typeof styleText>[0]): Paint =>
    text =>
      styleText(format, text, { stream });
  return {
    origin: paint('yellow'),
    peers: paint('cyan'),
    disk: paint('blue'),
    strong: paint('bold'),
    faint: paint('dim'),
    good: paint('green'),
    bad: paint('red'),
  };
}
