import type { Bytes, Millis } from '../../core/ids.ts';
import { formatBytes, formatRate } from '../byte-size.ts';
import { formatDuration } from '../duration.ts';
import { drawBar } from '../progress/bar.ts';
import type { FrameSize, Picture } from '../progress/display.ts';
import { barPartsOf, percentOf } from '../progress/fetch-picture.ts';
import type { Palette } from '../progress/palette.ts';
import type { AgentCounters } from './demo-agent.ts';

/** What the demo looks like at one moment. */
export type DemoScene = {
  /** What goes on, in words: `writing the sample`, `publishing`, `fetching`, `comparing`. */
  readonly step: string;
  readonly sizeBytes: Bytes;
  readonly chunkCount: number | undefined;
  readonly elapsedMs: Millis;
  /** Bytes of the object that left the origin. */
  readonly originBytes: Bytes;
  readonly agents: readonly DemoRow[];
};
export type DemoRow = {
  readonly name: string;
  readonly phase: string;
  readonly counters: AgentCounters;
  readonly doneAfterMs: Millis | undefined;
};

const BAR_COLUMNS_MAX = 64;
const BAR_COLUMNS_MIN = 8;
/** Beside the bar: name, percent, and rate or time. */
const TEXT_COLUMNS = 34;
/** Title, origin, legend, and blank rows between. */
const OTHER_ROWS = 7;

export function demoPicture(scene: DemoScene, palette: Palette): Picture {
  return {
    phase: scene.step,
    frame: size => frameOf(scene, palette, size),
    line: () => lineOf(scene),
    json: () => ({ kind: 'demo', step: scene.step, elapsedMs: scene.elapsedMs, originBytes: scene.originBytes }),
  };
}

function frameOf(scene: DemoScene, palette: Palette, { columns, rows }: FrameSize): string {
  const width = Math.max(BAR_COLUMNS_MIN, Math.min(BAR_COLUMNS_MAX, columns - TEXT_COLUMNS - 1));
  const title = [
    palette.strong('Starling demo'),
    scene.agents.length === 1 ? '1 agent' : `${scene.agents.length} agents`,
    formatBytes(scene.sizeBytes) + (scene.chunkCount === undefined ? '' : ` in ${scene.chunkCount} chunks`),
    `${scene.step}, ${formatDuration(scene.elapsedMs)}`,
  ].join(palette.faint('  ·  '));
  const shown = scene.agents.slice(0, Math.max(1, rows - OTHER_ROWS));
  return [
    title,
    '',
    originRow(scene, width, palette),
    ...shown.map(agent => agentRow(agent, width, palette)),
    ...hiddenRow(scene.agents.slice(shown.length), palette),
    '',
    `${palette.origin('▓ came from the origin')}   ${palette.peers('█ came from other agents')}`,
  ].join('\n');
}

/** How much of one copy has left the origin; a second copy would show in the number. */
function originRow({ originBytes, sizeBytes }: DemoScene, width: number, palette: Palette): string {
  const copies = sizeBytes === 0 ? 0 : originBytes / sizeBytes;
  const bar = drawBar([{ share: copies, from: 'origin' }], width, palette);
  return `${'origin'.padEnd(9)} ${bar}  ${copies.toFixed(2)} copies sent`;
}

function agentRow({ name, phase, counters, doneAfterMs }: DemoRow, width: number, palette: Palette): string {
  const known = counters.lengthBytes > 0 || doneAfterMs !== undefined;
  const bar = drawBar(known ? barPartsOf(counters) : [], width, palette);
  const percent = `${Math.floor(known ? percentOf({ ...counters, phase }) : 0)} %`.padStart(5);
  return `${name.padEnd(9)} ${bar}  ${percent}  ${lastCell(phase, counters, doneAfterMs, palette)}`;
}

function lastCell(phase: string, counters: AgentCounters, doneAfterMs: Millis | undefined, palette: Palette): string {
  if (doneAfterMs !== undefined) return palette.good(`done ${formatDuration(doneAfterMs)}`);
  return phase === 'fetching' ? formatRate(counters.rateBytesPerSecond) : palette.faint(phase);
}

function hiddenRow(hidden: readonly DemoRow[], palette: Palette): readonly string[] {
  if (hidden.length === 0) return [];
  const done = hidden.filter(({ doneAfterMs }) => doneAfterMs !== undefined).length;
  return [palette.faint(`and ${hidden.length} more, ${averagePercent(hidden).toFixed(0)} % on average, ${done} done`)];
}

function lineOf({ step, elapsedMs, agents, originBytes, sizeBytes }: DemoScene): string {
  const done = agents.filter(({ doneAfterMs }) => doneAfterMs !== undefined).length;
  const copies = sizeBytes === 0 ? 0 : originBytes / sizeBytes;
  if (agents.length === 0) return `${formatDuration(elapsedMs)}  ${step}`;
  return [
    `${formatDuration(elapsedMs)}  ${step}: ${done} of ${agents.length} agents done`,
    `${averagePercent(agents).toFixed(0)} % on average`,
    `the origin sent ${copies.toFixed(2)} copies`,
  ].join(', ');
}

function averagePercent(agents: readonly DemoRow[]): number {
  const sum = agents.reduce(
    (total, agent) =>
      total + (agent.counters.lengthBytes > 0 ? percentOf({ ...agent.counters, phase: agent.phase }) : 0),
    0,
  );
  return sum / Math.max(1, agents.length);
}
