import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openOrigin } from '../../../agent/origins/open-origin.ts';
import { temporaryDirectory } from '../../temporary-directory.ts';

test('each scheme opens its origin, named without what is secret', async () => {
  const path = await temporaryDirectory();
  process.env['AWS_REGION'] = 'eu-central-1';
  const opened = await Promise.all(
    [path, `file://${path}`, 'http://host:1234/', 'https://host/base', 's3://bucket', 's3://bucket/a/b/'].map(url =>
      openOrigin(url, { token: 'secret' }),
    ),
  );

  expect(opened.map(origin => origin.url)).toEqual([
    `file://${path}`,
    `file://${path}`,
    'http://host:1234',
    'https://host/base',
    's3://bucket',
    's3://bucket/a/b',
  ]);
  await Promise.all(opened.map(origin => origin.close()));
});

test.each([
  [''],
  ['ftp://host/x'],
  ['gs://bucket'],
  ['file://host/share'],
  ['http://'],
  ['http://host/?a=b'],
  ['s3://'],
  ['s3://Bucket_With/x'],
  ['s3://bucket/../x'],
  ['s3://bucket/a//b'],
])('%j is refused, with what would do', async url => {
  await expect(openOrigin(url, {})).rejects.toMatchObject({
    code: 'usage',
    next: expect.stringContaining('s3://bucket/prefix'),
  });
});

test('credentials in a URL are refused and not repeated', async () => {
  const failure = await openOrigin('http://user:hunter2@host/', {}).catch((error: unknown) => String(error));

  expect(failure).toContain('--token');
  expect(failure).not.toContain('hunter2');
});

test('the AWS SDK is loaded only for s3', async () => {
  const module = join(import.meta.dirname, '../../../agent/origins/open-origin.ts');
  const program = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load: (url, context, next) => (url.includes('@aws-sdk/client-s3') && loaded.push(url), next(url, context)) });
    const { openOrigin } = await import(${JSON.stringify(module)});
    const counts = [];
    for (const url of ['http://host', '/tmp', 's3://bucket']) {
      await (await openOrigin(url, {})).close();
      counts.push(loaded.length > 0);
    }
    console.log(JSON.stringify(counts));`;

  const env = { ...process.env, AWS_REGION: 'eu-central-1' };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { env });

  expect(JSON.parse(stdout)).toEqual([false, false, true]);
});
