import { createLogUpdate } from 'log-update';
import { unreachable } from '../../core/assert.ts';
import { config } from '../../core/config.ts';
import type { Millis } from '../../core/ids.ts';

/** One moment of a run, ready to be shown in whichever way the reader wants it. */
export type Picture = {
  /** A line or a JSON line is due at once when this changes. */
  readonly phase: string;
  /** Rows for a terminal, redrawn in place. */
  frame(size: FrameSize): string;
  /** The same in one line, for a log. */
  line(): string;
  /** The same for machines; one line when printed. */
  json(): object;
};
export type FrameSize = { readonly columns: number; readonly rows: number };

export type Outlet = {
  readonly kind: 'terminal' | 'lines' | 'json';
  readonly stream: NodeJS.WritableStream;
  /** Between two lines; `undefined` takes the usual pace of the kind. A terminal has its own. */
  readonly everyMs: Millis | undefined;
};

/** Something said once: above what is redrawn, or below it after the end. */
export type Fact = { readonly line: string; readonly json: object };

export type Display = {
  say(fact: Fact): void;
  /** Stop. On a terminal the last picture is left standing; elsewhere the facts say how it ended. Safe to call twice. */
  end(): void;
};

const COLUMNS_UNKNOWN = 80;
const ROWS_UNKNOWN = 24;

/** `verbose` writes a log beside: a picture redrawn in place would be torn by it. */
export function chooseOutlet(
  stream: NodeJS.WriteStream,
  wish: {
    readonly json: boolean | undefined;
    readonly verbose?: boolean | undefined;
    readonly everyMs?: Millis | undefined;
  },
): Outlet {
  const people = stream.isTTY && !wish.verbose ? 'terminal' : 'lines';
  return { kind: wish.json ? 'json' : people, stream, everyMs: wish.everyMs };
}

/** Shows `picture()` again and again until `end`. */
export function openDisplay(outlet: Outlet, picture: () => Picture): Display {
  const drawing = openDrawing(outlet);
  drawing.show(picture());
  let isOpen = true;
  const timer = setInterval(() => drawing.show(picture()), config.display.frameMs);
  return {
    say: drawing.say,
    end: () => {
      if (!isOpen) return;
      isOpen = false;
      clearInterval(timer);
      drawing.end(picture());
    },
  };
}

type Drawing = { show(picture: Picture): void; say(fact: Fact): void; end(picture: Picture): void };

function openDrawing(outlet: Outlet): Drawing {
  const { kind, stream, everyMs } = outlet;
  switch (kind) {
    case 'terminal':
      return terminalDrawing(stream);
    case 'lines':
      return lineDrawing(stream, everyMs ?? config.display.lineMs, PLAIN);
    case 'json':
      return lineDrawing(stream, everyMs ?? config.display.jsonMs, JSON_LINES);
    default:
      return unreachable(kind);
  }
}

function terminalDrawing(stream: NodeJS.WritableStream): Drawing {
  const update = createLogUpdate(stream);
  const show = (picture: Picture): void => update(picture.frame(sizeOf(stream)));
  let isOpen = true;
  return {
    show,
    say: fact => {
      if (isOpen) update.persist(fact.line);
      else stream.write(`${fact.line}\n`);
    },
    end: picture => {
      isOpen = false;
      show(picture);
      update.done();
    },
  };
}

type Wording = { picture(picture: Picture): string; fact(fact: Fact): string };
const PLAIN: Wording = { picture: picture => picture.line(), fact: fact => fact.line };
const JSON_LINES: Wording = { picture: ({ json }) => JSON.stringify(json()), fact: ({ json }) => JSON.stringify(json) };

function lineDrawing(stream: NodeJS.WritableStream, everyMs: Millis, wording: Wording): Drawing {
  let phase: string | undefined;
  let printedAt = 0;
  const print = (picture: Picture): void => {
    phase = picture.phase;
    printedAt = performance.now();
    stream.write(`${wording.picture(picture)}\n`);
  };
  return {
    show: picture => {
      // Half a frame early is on time: else every second line would wait for one frame more.
      const isDue = performance.now() - printedAt >= everyMs - config.display.frameMs / 2;
      if (isDue || picture.phase !== phase) print(picture);
    },
    say: fact => {
      stream.write(`${wording.fact(fact)}\n`);
    },
    end: () => undefined,
  };
}

function sizeOf(stream: NodeJS.WritableStream): FrameSize {
  const columns = 'columns' in stream && typeof stream.columns === 'number' ? stream.columns : COLUMNS_UNKNOWN;
  const rows = 'rows' in stream && typeof stream.rows === 'number' ? stream.rows : ROWS_UNKNOWN;
  return { columns, rows };
}
