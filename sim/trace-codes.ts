import type { AgentInput } from '../core/agent-input.ts';
import { unreachable } from '../core/assert.ts';

/** One integer for what an input says, for the trace hash: its kind, and the chunk or upload it speaks of. */
export function codeOf(input: AgentInput): number {
  switch (input.kind) {
    case 'tracker-answered':
      return coded(1, input.answer.leases.length * 1024 + input.answer.peers.length);
    case 'tracker-failed':
      return coded(2, 0);
    case 'peer-connected':
      return coded(3, input.hello.have.size);
    case 'peer-disconnected':
      return coded(4, 0);
    case 'peer-said':
      return input.message.kind === 'update'
        ? coded(5, input.message.have.length * 1024 + input.message.arriving.length)
        : coded(input.message.kind === 'offer' ? 6 : 7, input.message.chunk);
    case 'upload-asked':
      return coded(8, input.chunk);
    case 'upload-ended':
      return coded(9, input.upload);
    case 'chunk-progressed':
      return coded(10, input.chunk);
    case 'chunk-verified':
      return coded(11, input.chunk);
    case 'chunk-failed':
      return coded(12, input.chunk);
    case 'woke':
      return coded(13, 0);
    case 'leave':
      return coded(14, 0);
    default:
      return unreachable(input);
  }
}

function coded(kind: number, about: number): number {
  return Math.imul(about, 16) + kind;
}
