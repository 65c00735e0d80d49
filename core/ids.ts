import { StarlingError } from './errors.ts';

/** Milliseconds: a moment on the caller's clock, or a length of time. The name tells which (`...At`, `deadline` / `...Ms`). */
export type Millis = number;
export type Bytes = number;
/** 0-based position of a chunk in its job; always < `manifest.chunks.length`. */
export type ChunkIndex = number;

declare const brand: unique symbol;
/** One immutable version of a file or directory. Safe as a path segment, an object key segment and a URL segment. */
export type JobId = string & { readonly [brand]: 'JobId' };
/** One agent of one job. It outlives a restart of the process: the `BootId` does not. */
export type AgentId = string & { readonly [brand]: 'AgentId' };
/** One run of an agent's process. (agentId, bootId) is the identity of a peer; its address is not. */
export type BootId = string & { readonly [brand]: 'BootId' };
/** An availability zone: on AWS the zone *id* (use1-az1), for zone names differ between accounts. */
export type Zone = string & { readonly [brand]: 'Zone' };

const JOB_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const AGENT_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** Expects 1..128 of `A-Z a-z 0-9 . _ -`, first a letter or digit. Throws `invalid-job-id`. */
export function parseJobId(text: string): JobId {
  if (JOB_ID.test(text) && !text.includes('..')) return text as JobId;
  throw new StarlingError('invalid-job-id', `job id ${JSON.stringify(text)} is not usable`, {
    next: 'use 1 to 128 letters, digits, ".", "_" or "-", starting with a letter or digit and without ".."',
  });
}

/** Expects 1..64 of `A-Z a-z 0-9 _ -`. Throws `invalid-message`. */
export function parseAgentId(text: string): AgentId {
  if (AGENT_ID.test(text)) return text as AgentId;
  throw new StarlingError('invalid-message', `agent id ${JSON.stringify(text)} is not usable`);
}

/** As {@link parseAgentId}. */
export function parseBootId(text: string): BootId {
  if (AGENT_ID.test(text)) return text as BootId;
  throw new StarlingError('invalid-message', `boot id ${JSON.stringify(text)} is not usable`);
}

/** As {@link parseAgentId}. */
export function parseZone(text: string): Zone {
  if (AGENT_ID.test(text)) return text as Zone;
  throw new StarlingError('invalid-message', `zone ${JSON.stringify(text)} is not usable`);
}
