import { randomInt } from 'node:crypto';
import type { Locality } from '../core/announce-answer.ts';
import { seededRng } from '../core/rng.ts';
import { MemoryRosterStore } from '../tracker/memory-roster-store.ts';
import { routeTrackerRequest } from '../tracker/routes.ts';
import { TrackerService } from '../tracker/service.ts';
import { type OriginServer, type OriginServerSettings, startOriginServer } from './origin-server/origin-server.ts';

/**
 * Object store and tracker in one process, behind one port: no cloud needed. The objects lie in `dataDir`; the tracker
 * keeps nothing, for its agents tell it everything again. Throws as `startOriginServer` does.
 */
export function startEmbeddedOrigin(
  settings: Omit<OriginServerSettings, 'tracker'> & { readonly locality: Locality },
): Promise<OriginServer> {
  const service = new TrackerService(new MemoryRosterStore(settings.locality), seededRng(randomInt(2 ** 32)));
  return startOriginServer({ ...settings, tracker: request => routeTrackerRequest(service, request) });
}
