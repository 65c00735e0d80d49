import type { AgentAction } from './agent-action.ts';

/** Collects the actions of one call of `handle`, in order. */
export class Outbox {
  #actions: AgentAction[] = [];

  push(action: AgentAction): void {
    this.#actions.push(action);
  }

  take(): readonly AgentAction[] {
    const taken = this.#actions;
    this.#actions = [];
    return taken;
  }
}
