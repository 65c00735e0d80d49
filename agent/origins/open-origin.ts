import { randomInt } from 'node:crypto';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { StarlingError } from '../../core/errors.ts';
import { seededRng } from '../../core/rng.ts';
import { FileOrigin } from './file-origin.ts';
import { HttpOrigin } from './http-origin.ts';
import { checkObjectKey } from './object-key.ts';
import type { Origin } from './origin.ts';

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):/;
const S3_URL = /^s3:\/\/([^/]*)(?:\/(.*))?$/;
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

export type OriginAccess = {
  /** For http(s); S3 has its own credentials. */
  readonly token?: string | undefined;
};

/**
 * `s3://bucket/prefix`, `http(s)://host:port`, `file:///directory`, or the path of a directory. Asks nobody yet: a wrong
 * host or a missing bucket shows at the first request. Throws `usage` for what is none of these.
 */
export async function openOrigin(url: string, access: OriginAccess): Promise<Origin> {
  const scheme = SCHEME.exec(url)?.[1]?.toLowerCase();
  switch (scheme) {
    case undefined:
      if (url === '') throw usage(url, 'it is empty');
      return new FileOrigin(url);
    case 'file':
      return new FileOrigin(pathOf(url));
    case 'http':
    case 'https':
      return new HttpOrigin(parseHttpUrl(url), access.token, seededRng(randomInt(2 ** 32)));
    case 's3': {
      const location = parseS3Url(url);
      // The SDK takes a third of a second and 30 MB to load; those who do not use S3 should not pay for it.
      const { openS3Origin } = await import('./s3-origin.ts');
      return openS3Origin(location, process.env, seededRng(randomInt(2 ** 32)));
    }
    default:
      throw usage(url, `the scheme ${scheme}: is not known`);
  }
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    // TypeError: a host in it, or an encoded slash.
    throw usage(url, cause instanceof Error ? cause.message : String(cause));
  }
}

function parseHttpUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw usage(text, 'it is not a URL');
  if (url.username !== '' || url.password !== '') {
    // Not repeated in the message: it may hold a secret.
    throw usage(`${url.protocol}//...@${url.host}`, 'credentials in it are not used; give the token by --token');
  }
  if (url.search !== '' || url.hash !== '') throw usage(text, 'it must have neither a query nor a fragment');
  return url;
}

function parseS3Url(text: string): { readonly bucket: string; readonly prefix: string } {
  const [, bucket = '', rest = ''] = S3_URL.exec(text) ?? [];
  if (!BUCKET.test(bucket)) throw usage(text, `${JSON.stringify(bucket)} is not the name of a bucket`);
  const prefix = rest.replace(/\/+$/, '');
  if (prefix === '') return { bucket, prefix };
  try {
    checkObjectKey(prefix);
  } catch (cause) {
    throw usage(text, cause instanceof Error ? cause.message : String(cause));
  }
  return { bucket, prefix };
}

function usage(url: string, why: string): StarlingError {
  return new StarlingError('usage', `origin ${JSON.stringify(url)} cannot be used: ${why}`, {
    next: 'give s3://bucket/prefix, http(s)://host:port, file:///directory or the path of a directory',
  });
}
