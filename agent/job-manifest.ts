import { config } from '../core/config.ts';
import { StarlingError } from '../core/errors.ts';
import type { JobId } from '../core/ids.ts';
import { manifestKey } from '../core/job-key.ts';
import type { Manifest } from '../core/manifest.ts';
import { parseManifest } from '../core/manifest-json.ts';
import { manifestBytes, manifestDigest } from './manifest-digest.ts';
import type { Origin } from './origins/origin.ts';

export type JobManifest = {
  readonly manifest: Manifest;
  /** Canonical. */
  readonly bytes: Uint8Array;
  readonly digest: string;
};

/** Read and check what a job is. Throws `unknown-job`, `invalid-manifest`, `unsafe-path`, or what the origin throws. */
export async function readJobManifest(origin: Origin, job: JobId, signal: AbortSignal): Promise<JobManifest> {
  const stored = await origin.readObject(manifestKey(job), { bytesMax: config.manifest.jsonBytesMax, signal });
  if (stored === undefined) {
    throw new StarlingError('unknown-job', `job ${job} is not in ${origin.url}`, {
      next: `check --job and --origin, or publish it: agent publish <path> --job ${job} --origin ${origin.url}`,
    });
  }
  const manifest = parseManifest(Buffer.from(stored).toString('utf8'));
  if (manifest.job !== job) {
    throw new StarlingError('invalid-manifest', `the manifest of job ${job} says that it is of job ${manifest.job}`, {
      next: 'the origin was tampered with or wrongly copied; publish the content again under a new job id',
    });
  }
  const bytes = manifestBytes(manifest);
  return { manifest, bytes, digest: manifestDigest(bytes) };
}
