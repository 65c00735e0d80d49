import { MemoryRosterStore } from '../../tracker/memory-roster-store.ts';
import { describeRosterStore } from '../conformance/roster-store.ts';

describeRosterStore('memory', () => new MemoryRosterStore('zone'));
