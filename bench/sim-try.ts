/**
 * One simulated rollout with the present decisions, as one line of JSON (sim/outcome.ts names the fields).
 *
 *   npm run sim:try [-- machines [joinSpreadMs [seed]]]
 */
import process from 'node:process';
import { headline } from '../sim/scenario.ts';
import { simulate } from '../sim/simulate.ts';

const [machines = 60, joinSpreadMs = 0, seed = 1] = process.argv.slice(2).map(Number);
console.log(JSON.stringify(simulate({ ...headline, machines, joinSpreadMs, seed }).outcome));
