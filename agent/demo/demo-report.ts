import type { Bytes, Millis } from '../../core/ids.ts';
import { formatBytes } from '../byte-size.ts';
import { formatDuration } from '../duration.ts';
import type { Palette } from '../progress/palette.ts';
import { type Column, drawTable } from '../progress/table.ts';

export type DemoReport = {
  readonly sizeBytes: Bytes;
  readonly chunkCount: number;
  /** Of the job's object, as the origin counted them. */
  readonly originBytes: Bytes;
  readonly agents: readonly AgentReport[];
};
export type AgentReport = {
  readonly name: string;
  readonly doneAfterMs: Millis | undefined;
  readonly bytesFromOrigin: Bytes;
  readonly bytesFromPeers: Bytes;
  readonly duplicateBytes: Bytes;
  readonly peakRssBytes: Bytes;
  /** `undefined`: its tree is byte-identical to the source. */
  readonly fault: string | undefined;
};

const COLUMNS: readonly Column[] = [
  { title: 'agent', align: 'left' },
  { title: 'done after', align: 'right' },
  { title: 'from origin', align: 'right' },
  { title: 'from agents', align: 'right' },
  { title: 'needless', align: 'right' },
  { title: 'peak memory', align: 'right' },
  { title: 'content', align: 'left' },
];

export function isOk(report: DemoReport): boolean {
  return report.agents.every(({ fault }) => fault === undefined);
}

/** The last line of `demo --json`. Times count from the start of the first agent's process to the agent's word that its file is in place. */
export function reportJson(report: DemoReport): object {
  const faults = report.agents.flatMap(({ name, fault }) => (fault === undefined ? [] : [`${name}: ${fault}`]));
  return {
    ok: isOk(report),
    agents: report.agents.length,
    sizeBytes: report.sizeBytes,
    chunks: report.chunkCount,
    originCopies: Number(copiesOf(report).toFixed(4)),
    lastDoneMs: lastDoneMs(report),
    firstDoneMs: firstDoneMs(report),
    bytesFromPeers: sumOf(report, agent => agent.bytesFromPeers),
    bytesFromOrigin: sumOf(report, agent => agent.bytesFromOrigin),
    duplicateBytes: sumOf(report, agent => agent.duplicateBytes),
    peakRssBytes: peakRssBytes(report),
    ...(faults.length === 0 ? {} : { faults }),
  };
}

export function reportText(report: DemoReport, palette: Palette): string {
  const rows = report.agents.map(agent => [
    agent.name,
    agent.doneAfterMs === undefined ? '-' : formatDuration(agent.doneAfterMs),
    formatBytes(agent.bytesFromOrigin),
    formatBytes(agent.bytesFromPeers),
    formatBytes(agent.duplicateBytes),
    formatBytes(agent.peakRssBytes),
    agent.fault === undefined ? 'identical' : 'NOT IDENTICAL',
  ]);
  const [title = '', ...table] = drawTable(COLUMNS, rows);
  return ['', palette.faint(title), ...table, '', ...verdict(report, palette), ''].join('\n');
}

function verdict(report: DemoReport, palette: Palette): readonly string[] {
  const { agents, sizeBytes, originBytes } = report;
  const faults = agents.filter(({ fault }) => fault !== undefined);
  if (faults.length > 0) return faults.map(({ name, fault }) => palette.bad(`${name}: ${fault}`));
  const count = agents.length === 1 ? '1 agent has' : `All ${agents.length} agents have`;
  const needless = sumOf(report, agent => agent.duplicateBytes);
  const copies = copiesOf(report).toFixed(2);
  const first = formatDuration(firstDoneMs(report) ?? 0);
  const last = formatDuration(lastDoneMs(report) ?? 0);
  return [
    palette.good(`${count} the whole of it, byte-identical to the source.`),
    `${palette.strong(`The origin sent ${copies} copies`)} (${formatBytes(originBytes)} of ${formatBytes(sizeBytes)}), not ${agents.length}.`,
    `Agents gave each other ${formatBytes(sumOf(report, agent => agent.bytesFromPeers))}; ${formatBytes(needless)} came needlessly.`,
    `First done after ${first}, last after ${last}, from the start of the first process; at most ${formatBytes(peakRssBytes(report))} of memory each.`,
  ];
}

function copiesOf({ originBytes, sizeBytes }: DemoReport): number {
  return sizeBytes === 0 ? 0 : originBytes / sizeBytes;
}

function firstDoneMs(report: DemoReport): Millis | undefined {
  const times = doneTimes(report);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** `undefined` if one never was. */
function lastDoneMs(report: DemoReport): Millis | undefined {
  const times = doneTimes(report);
  return times.length < report.agents.length ? undefined : Math.max(...times);
}

function doneTimes({ agents }: DemoReport): readonly Millis[] {
  return agents.flatMap(({ doneAfterMs }) => (doneAfterMs === undefined ? [] : [doneAfterMs]));
}

function peakRssBytes({ agents }: DemoReport): Bytes {
  return Math.max(0, ...agents.map(agent => agent.peakRssBytes));
}

function sumOf({ agents }: DemoReport, count: (agent: AgentReport) => number): number {
  return agents.reduce((sum, agent) => sum + count(agent), 0);
}
