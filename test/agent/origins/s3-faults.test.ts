import { PutObjectCommand, S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import { mockClient } from 'aws-sdk-client-mock';
import { expect, onTestFinished, test } from 'vitest';
import { readFault, s3Failure } from '../../../agent/origins/s3-failure.ts';
import { makeS3Client, openS3Origin, S3Origin } from '../../../agent/origins/s3-origin.ts';
import { bytesOf, collect, expectBytes } from '../../conformance/origin.ts';
import { type Fault, type S3Request, startS3Server } from '../../s3-server.ts';

const BUCKET = 'fleet';
const MiB = 1024 * 1024;
const BYTES = bytesOf(1_000_000, 1);
const WHOLE = { offsetBytes: 0, lengthBytes: BYTES.length };
const AT_ONCE = { below: () => 0 };
const SLOW_DOWN: Fault = { kind: 'refuse', status: 503, code: 'SlowDown' };
process.env['AWS_ACCESS_KEY_ID'] = 'test';
process.env['AWS_SECRET_ACCESS_KEY'] = 'test';

/** The SDK's real client against a real server, with the first requests of an operation interfered with. */
async function originWith(operation: string, faults: readonly (Fault | undefined)[]) {
  const server = await startS3Server(BUCKET);
  const client = makeS3Client({ AWS_ENDPOINT_URL_S3: server.endpoint });
  const origin = new S3Origin(client, { bucket: BUCKET, prefix: 'p' }, AT_ONCE);
  const left = [...faults];
  server.interfere = request => (request.operation === operation ? left.shift() : undefined);
  onTestFinished(async () => {
    await origin.close();
    await server.close();
  });
  const seen = (): readonly S3Request[] => server.requests.filter(request => request.operation === operation);
  return { server, origin, seen };
}

function uploadOf(bytes: Uint8Array) {
  const read = async ({ offsetBytes, lengthBytes }: { offsetBytes: number; lengthBytes: number }) =>
    bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
  return { lengthBytes: bytes.length, cutsAt: [8 * MiB, 16 * MiB], read };
}

test('SlowDown is waited out', async () => {
  const { origin, seen } = await originWith('GETObject', [SLOW_DOWN, SLOW_DOWN]);
  await origin.writeObjectIfAbsent('a', BYTES);

  expectBytes(await collect(origin.readRange('a', WHOLE)), BYTES);
  expect(seen()).toHaveLength(3);
});

test('a range that breaks off goes on at the byte where it stopped', async () => {
  const { origin, seen } = await originWith('GETObject', [{ kind: 'cut' }, { kind: 'cut' }]);
  await origin.writeObjectIfAbsent('a', BYTES);

  expectBytes(await collect(origin.readRange('a', WHOLE)), BYTES);
  const starts = seen().map(({ headers }) => Number(/\d+/.exec(headers.range ?? '')?.[0]));
  expect(starts).toHaveLength(3);
  expect(starts[1]).toBeGreaterThan(0);
  expect(starts[2]).toBeGreaterThan(starts[1] ?? 0);
});

test('an object whose body breaks off is read again', async () => {
  const { origin, seen } = await originWith('GETObject', [{ kind: 'cut' }]);
  await origin.writeObjectIfAbsent('a', BYTES);

  expectBytes(await origin.readObject('a', { bytesMax: BYTES.length }), BYTES);
  expect(seen()).toHaveLength(2);
});

test('writes are conditional, single or in parts', async () => {
  const { server, origin } = await originWith('none', []);

  await origin.writeObjectIfAbsent('a', BYTES);
  await origin.writeLargeObject('small', uploadOf(BYTES));
  await origin.writeLargeObject('large', uploadOf(bytesOf(17 * MiB, 1)));

  const writes = server.requests.filter(({ operation }) => /^(PUTObject|CompleteMultipartUpload)$/.test(operation));
  expect(writes.map(({ key, headers }) => [key, headers['if-none-match']])).toEqual([
    ['p/a', '*'],
    ['p/small', '*'],
    ['p/large', '*'],
  ]);
  // The SDK adds a CRC of its own, which S3 checks.
  expect(Object.keys(writes[0]?.headers ?? {})).toContain('x-amz-checksum-crc32');
});

test('a write whose answer was lost still knows that it has written', async () => {
  const { origin, seen } = await originWith('PUTObject', [{ kind: 'lose-answer' }]);

  expect(await origin.writeObjectIfAbsent('a', BYTES)).toBe('written');
  expect(seen()).toHaveLength(2);
});

test('a conflict with a write under way is asked again until it is settled', async () => {
  const conflict: Fault = { kind: 'refuse', status: 409, code: 'ConditionalRequestConflict' };
  const { origin, seen } = await originWith('PUTObject', [conflict, conflict]);

  expect(await origin.writeObjectIfAbsent('a', BYTES)).toBe('written');
  expect(seen()).toHaveLength(3);
});

test('a part that meets SlowDown or a lost answer is sent again', async () => {
  const bytes = bytesOf(17 * MiB, 1);
  const { server, origin, seen } = await originWith('UploadPart', [SLOW_DOWN, { kind: 'lose-answer' }]);

  await origin.writeLargeObject('a', uploadOf(bytes));

  expectBytes(server.objects.get('p/a'), bytes);
  expect(seen()).toHaveLength(5);
});

test('a completed upload whose answer was lost counts as written', async () => {
  const { server, origin } = await originWith('CompleteMultipartUpload', [{ kind: 'lose-answer' }]);

  await origin.writeLargeObject('a', uploadOf(bytesOf(17 * MiB, 1)));

  expect(server.objects.get('p/a')?.length).toBe(17 * MiB);
});

test('a failed upload is aborted, so that its parts cost nothing', async () => {
  const denied: Fault = { kind: 'refuse', status: 403, code: 'AccessDenied' };
  const { server, origin, seen } = await originWith('UploadPart', [undefined, denied]);

  await expect(origin.writeLargeObject('a', uploadOf(bytesOf(17 * MiB, 1)))).rejects.toMatchObject({
    code: 'origin-refused',
    next: expect.stringContaining('s3:PutObject'),
  });
  expect(seen().length).toBeGreaterThanOrEqual(2);
  expect(server.uploads.size).toBe(0);
  expect(server.objects.size).toBe(0);
});

test('a part below the minimum of S3 is never sent', async () => {
  // The server refuses such parts with EntityTooSmall when the upload is completed.
  const { server, origin } = await originWith('none', []);
  const bytes = bytesOf(20_000_000, 1);
  const cutsAt = [5_000_000, 10_000_000, 15_000_000];

  await origin.writeLargeObject('a', { ...uploadOf(bytes), cutsAt });

  expectBytes(server.objects.get('p/a'), bytes);
});

test('a request that is refused for good is asked once', async () => {
  const { origin, seen } = await originWith('GETObject', [{ kind: 'refuse', status: 403, code: 'ExpiredToken' }]);

  await expect(origin.readObject('a', { bytesMax: 1 })).rejects.toMatchObject({
    code: 'origin-refused',
    message: expect.stringContaining('ExpiredToken'),
    next: expect.stringContaining('renew'),
  });
  expect(seen()).toHaveLength(1);
});

test('a missing bucket is named, not taken for a missing object', async () => {
  const { server } = await originWith('none', []);
  const client = makeS3Client({ AWS_ENDPOINT_URL_S3: server.endpoint });
  const lost = new S3Origin(client, { bucket: 'fleeet', prefix: '' }, AT_ONCE);

  await expect(lost.readObject('a', { bytesMax: 1 })).rejects.toMatchObject({
    code: 'origin-refused',
    next: 'create the bucket fleeet, or correct its name',
  });
  await lost.close();
});

test('the region of a bucket that lies elsewhere is told', async () => {
  const headers = { 'x-amz-bucket-region': 'eu-west-3' };
  const elsewhere: Fault = { kind: 'refuse', status: 301, code: 'PermanentRedirect', headers };
  const { origin } = await originWith('GETObject', [elsewhere]);

  await expect(origin.readObject('a', { bytesMax: 1 })).rejects.toMatchObject({
    code: 'origin-refused',
    next: 'set AWS_REGION to the region of the bucket, eu-west-3',
  });
});

test('the region is asked for if nothing tells it', async () => {
  const home = { AWS_CONFIG_FILE: '/nonexistent', AWS_SHARED_CREDENTIALS_FILE: '/nonexistent' };
  const before = { ...process.env };
  onTestFinished(() => {
    process.env = before;
  });
  process.env = { ...before, ...home };
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE']) delete process.env[name];
  const location = { bucket: BUCKET, prefix: '' };

  await expect(openS3Origin(location, {}, AT_ONCE)).rejects.toMatchObject({
    code: 'usage',
    next: expect.stringContaining('AWS_REGION'),
  });
  await (await openS3Origin(location, { AWS_DEFAULT_REGION: 'eu-central-1' }, AT_ONCE)).close();
});

test('an endpoint of one’s own is spoken to in path style, S3 itself is not', async () => {
  const own = makeS3Client({ AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1' });
  const amazon = makeS3Client({ AWS_REGION: 'eu-central-1' });

  expect([own.config.forcePathStyle, amazon.config.forcePathStyle]).toEqual([true, false]);
  expect(await amazon.config.region()).toBe('eu-central-1');
});

test('the commands say what S3 needs', async () => {
  const mock = mockClient(S3Client);
  onTestFinished(() => mock.restore());
  mock.on(PutObjectCommand).resolves({});
  const origin = new S3Origin(new S3Client({ region: 'x' }), { bucket: BUCKET, prefix: 'a/b' }, AT_ONCE);

  await origin.writeObjectIfAbsent('c/d', Uint8Array.of(1, 2));

  expect(mock.commandCalls(PutObjectCommand).map(call => call.args[0].input)).toEqual([
    { Bucket: BUCKET, Key: 'a/b/c/d', Body: Uint8Array.of(1, 2), ContentLength: 2, IfNoneMatch: '*' },
  ]);
});

test.each([
  ['AccessDenied', 403, 'origin-refused', 's3:GetObject'],
  ['NotFound', 404, 'origin-refused', 'prefix'],
  ['InvalidAccessKeyId', 403, 'origin-refused', 'credentials'],
  ['ExpiredToken', 400, 'origin-refused', 'renew'],
  ['RequestTimeTooSkewed', 403, 'origin-refused', 'clock'],
  ['NotImplemented', 501, 'origin-refused', 'If-None-Match'],
  ['PreconditionFailed', 412, 'origin-refused', 'another job id'],
  ['EntityTooSmall', 400, 'origin-refused', 'message of S3'],
  ['SlowDown', 503, 'origin-unreachable', 'prefix'],
  ['InternalError', 500, 'origin-unreachable', 'network'],
  ['RequestTimeout', 408, 'origin-unreachable', 'network'],
] as const)('%s (%i) is %s, with what to do', (name, status, code, next) => {
  const error = new S3ServiceException({
    name,
    $fault: 'client',
    $metadata: { httpStatusCode: status, attempts: 3 },
    message: 'said S3',
  });

  const failure = s3Failure('reading a from s3://fleet', BUCKET, error);

  expect(failure).toMatchObject({ code, next: expect.stringContaining(next), cause: error });
  expect(failure.message).toContain(`reading a from s3://fleet: ${name} ${status} (said S3)`);
  expect(readFault(error).attempts).toBe(3);
});

test('a network that is down, and credentials that are not there, are told apart', () => {
  const down = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  const bare = Object.assign(new Error('Could not load credentials'), { name: 'CredentialsProviderError' });

  expect(s3Failure('reading', BUCKET, down)).toMatchObject({
    code: 'origin-unreachable',
    message: expect.stringContaining('ECONNREFUSED'),
  });
  expect(s3Failure('reading', BUCKET, bare)).toMatchObject({
    code: 'origin-refused',
    next: expect.stringContaining('AWS_PROFILE'),
  });
});
