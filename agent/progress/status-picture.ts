import { config } from '../../core/config.ts';
import type { AgentStatus, JobStatus } from '../../core/tracker-message.ts';
import { formatBytes, formatRate } from '../byte-size.ts';
import { formatDuration } from '../duration.ts';
import { type Column, drawTable } from './table.ts';

/** Agents that are listed for people; a large fleet is read by `--json`. */
const AGENTS_SHOWN_MAX = 200;
const COLUMNS: readonly Column[] = [
  { title: 'agent', align: 'left' },
  { title: 'address', align: 'left' },
  { title: 'zone', align: 'left' },
  { title: 'state', align: 'left' },
  { title: 'done', align: 'right' },
  { title: 'rate', align: 'right' },
  { title: 'origin', align: 'right' },
  { title: 'peers', align: 'right' },
  { title: 'sent', align: 'right' },
  { title: 'near', align: 'right' },
  { title: 'heard', align: 'right' },
  { title: 'remarks', align: 'left' },
];

/** What one job looks like now, for people: a summary, then a row per agent, the least complete first. */
export function statusText(status: JobStatus): string {
  const slow = slowAgents(status);
  const order = [...status.agents].sort((a, b) => a.haveCount - b.haveCount || (a.agentId < b.agentId ? -1 : 1));
  const rows = order.slice(0, AGENTS_SHOWN_MAX).map(agent => rowOf(status, agent, slow.has(agent)));
  const more = order.length - rows.length;
  return [
    summaryOf(status),
    ...(rows.length === 0 ? [] : ['', ...drawTable(COLUMNS, rows)]),
    ...(more > 0 ? [`and ${more} agents more; --json lists them all`] : []),
  ].join('\n');
}

/** The tracker's answer with what people see in it added: percent, and whether an agent is slow. */
export function statusJson(status: JobStatus): object {
  const slow = slowAgents(status);
  const agents = status.agents.map(agent => ({
    ...agent,
    percent: percentOf(status, agent),
    isSlow: slow.has(agent),
  }));
  return { kind: 'status', ...status, agents };
}

function summaryOf(status: JobStatus): string {
  const { agents, leases, chunkCount } = status;
  const seeding = agents.filter(({ state }) => state === 'seeding').length;
  const rate = agents.reduce((sum, { progress }) => sum + progress.rateBytesPerSecond, 0);
  return [
    `job ${status.job}: ${chunkCount} chunks`,
    `${agents.length === 1 ? '1 agent' : `${agents.length} agents`}, ${seeding} complete`,
    `together ${formatRate(rate)}`,
    `${leases.outstanding} leases out, ${leases.free} free`,
  ].join('; ');
}

function rowOf(status: JobStatus, agent: AgentStatus, isSlow: boolean): readonly string[] {
  const { progress } = agent;
  const remarks = [
    ...(isSlow ? ['slow'] : []),
    ...progress.quarantined.map(
      ({ agentId, reason, forMs }) => `quarantines ${agentId} for ${formatDuration(forMs)}: ${reason}`,
    ),
  ];
  return [
    agent.agentId,
    agent.host.includes(':') ? `[${agent.host}]:${agent.port}` : `${agent.host}:${agent.port}`,
    agent.zone,
    agent.state,
    `${percentOf(status, agent).toFixed(1)} %`,
    agent.state === 'fetching' ? formatRate(progress.rateBytesPerSecond) : '-',
    formatBytes(progress.bytesFromOrigin),
    formatBytes(progress.bytesFromPeers),
    formatBytes(progress.bytesUploaded),
    String(agent.neighbourCount),
    `${formatDuration(agent.lastAnnounceAgoMs)} ago`,
    remarks.join('; '),
  ];
}

/** Those at less than `config.lease.slowLinkPercent` of the typical rate among the agents that still fetch. */
function slowAgents({ agents }: JobStatus): ReadonlySet<AgentStatus> {
  const fetching = agents.filter(({ state }) => state === 'fetching');
  const rates = fetching.map(({ progress }) => progress.rateBytesPerSecond).sort((a, b) => a - b);
  const median = rates[Math.floor(rates.length / 2)] ?? 0;
  return new Set(
    fetching.filter(agent => agent.progress.rateBytesPerSecond * 100 < median * config.lease.slowLinkPercent),
  );
}

function percentOf({ chunkCount }: JobStatus, { haveCount }: AgentStatus): number {
  return chunkCount === 0 ? 100 : Math.floor((haveCount / chunkCount) * 1000) / 10;
}
