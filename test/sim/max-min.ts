/** Exact max-min fair rates by progressive filling; the slow twin of sim/network.ts. */
export type FairFlow = { readonly from: number; readonly to: number; readonly limit: number };

export function maxMinRates(capacities: readonly number[], flows: readonly FairFlow[]): number[] {
  const rates = flows.map(() => 0);
  const isFixed = flows.map(() => false);
  for (;;) {
    const free = flows.map((_, index) => index).filter(index => !isFixed[index]);
    if (free.length === 0) return rates;
    // All free rates rise together until a port is full or a flow is at its limit.
    let step = Math.min(...free.map(index => (flows[index] as FairFlow).limit - (rates[index] as number)));
    const spare = capacities.map((capacity, port) => capacity - load(flows, rates, port));
    const users = capacities.map((_, port) => free.filter(index => touches(flows[index] as FairFlow, port)).length);
    for (const [port, count] of users.entries()) {
      if (count > 0) step = Math.min(step, (spare[port] as number) / count);
    }
    for (const index of free) rates[index] = (rates[index] as number) + step;
    for (const index of free) {
      const flow = flows[index] as FairFlow;
      const isAtLimit = (rates[index] as number) >= flow.limit * (1 - 1e-9);
      const isBlocked = [flow.from, flow.to].some(port => {
        const capacity = capacities[port] as number;
        return load(flows, rates, port) >= capacity * (1 - 1e-9);
      });
      if (isAtLimit || isBlocked) isFixed[index] = true;
    }
  }
}

function touches(flow: FairFlow, port: number): boolean {
  return flow.from === port || flow.to === port;
}

function load(flows: readonly FairFlow[], rates: readonly number[], port: number): number {
  return flows.reduce((sum, flow, index) => (touches(flow, port) ? sum + (rates[index] as number) : sum), 0);
}
