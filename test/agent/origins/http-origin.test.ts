import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startOriginServer } from '../../../agent/origin-server/origin-server.ts';
import { HttpOrigin } from '../../../agent/origins/http-origin.ts';
import { seededRng } from '../../../core/rng.ts';
import { describeOrigin } from '../../conformance/origin.ts';

describeOrigin('http', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'starling-origin-'));
  const server = await startOriginServer({
    dataDir,
    host: '127.0.0.1',
    port: 0,
    token: 'open sesame',
    tracker: undefined,
  });
  return {
    open: async () => new HttpOrigin(new URL(server.url), 'open sesame', seededRng(1)),
    close: async () => {
      await server.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}, []);
