import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { describe, test } from 'vitest';
import { makeS3Client, S3Origin } from '../../../agent/origins/s3-origin.ts';
import { seededRng } from '../../../core/rng.ts';
import { describeOrigin } from '../../conformance/origin.ts';
import { startMoto } from '../../moto-server.ts';
import { startS3Server } from '../../s3-server.ts';

const BUCKET = 'fleet';
process.env['AWS_ACCESS_KEY_ID'] = 'test';
process.env['AWS_SECRET_ACCESS_KEY'] = 'test';

describeOrigin('s3 (test/s3-server.ts)', async () => {
  const server = await startS3Server(BUCKET);
  return {
    open: async () =>
      new S3Origin(
        makeS3Client({ AWS_ENDPOINT_URL_S3: server.endpoint }),
        { bucket: BUCKET, prefix: 'models/x' },
        seededRng(1),
      ),
    close: () => server.close(),
  };
}, []);

const moto = await startMoto();
if (moto.kind === 'missing') {
  describe('origin: s3 (moto)', () => test.skip(`left out: ${moto.why}`, () => undefined));
} else {
  describeOrigin('s3 (moto)', async () => {
    const client = makeS3Client({ AWS_ENDPOINT_URL_S3: moto.endpoint });
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    client.destroy();
    return {
      open: async () =>
        new S3Origin(
          makeS3Client({ AWS_ENDPOINT_URL_S3: moto.endpoint }),
          { bucket: BUCKET, prefix: '' },
          seededRng(1),
        ),
      close: moto.close,
    };
  }, []);
}
