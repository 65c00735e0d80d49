import type { JobId, Millis } from '../../core/ids.ts';
import { chooseOutlet, type Fact, openDisplay } from './display.ts';
import { paletteFor } from './palette.ts';
import { WorkMeter } from './work-meter.ts';
import { workPicture } from './work-picture.ts';

export type WorkDisplay = {
  note(phase: string, doneBytes: number, totalBytes: number): void;
  say(fact: Fact): void;
  end(): void;
};

/** Shows the work of one command as it is noted. */
export function openWorkDisplay(
  stream: NodeJS.WriteStream,
  subject: {
    readonly job: JobId;
    /** What it begins with. */
    readonly phase: string;
    readonly json: boolean | undefined;
    readonly everyMs: Millis | undefined;
  },
): WorkDisplay {
  const meter = new WorkMeter(subject.job, subject.phase);
  const palette = paletteFor(stream);
  const display = openDisplay(chooseOutlet(stream, subject), () => workPicture(meter.work(), palette));
  return { note: (...step) => meter.note(...step), say: display.say, end: display.end };
}
