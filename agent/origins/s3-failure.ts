import { StarlingError } from '../../core/errors.ts';

/** What an error of the SDK says, as far as it says it. */
export type S3Fault = {
  readonly name: string;
  readonly message: string;
  readonly status: number | undefined;
  /** Tries that the SDK made. */
  readonly attempts: number;
  /** Where S3 says the bucket lies, if it lies elsewhere. */
  readonly bucketRegion: string | undefined;
};

export function readFault(cause: unknown): S3Fault {
  if (!(cause instanceof Error)) {
    return { name: 'Unknown', message: String(cause), status: undefined, attempts: 1, bucketRegion: undefined };
  }
  const metadata = fieldOf(cause, '$metadata');
  const status = fieldOf(metadata, 'httpStatusCode');
  const attempts = fieldOf(metadata, 'attempts');
  const region = fieldOf(fieldOf(fieldOf(cause, '$response'), 'headers'), 'x-amz-bucket-region');
  const code = fieldOf(cause, 'code');
  return {
    // HEAD has no body to tell a name; a system error has its name in `code`.
    name: typeof code === 'string' && cause.name === 'Error' ? code : cause.name,
    message: cause.message,
    status: typeof status === 'number' ? status : undefined,
    attempts: typeof attempts === 'number' ? attempts : 1,
    bucketRegion: typeof region === 'string' ? region : undefined,
  };
}

/** The object, not the bucket, is missing. */
export function isMissingObject(fault: S3Fault): boolean {
  return fault.status === 404 && fault.name !== 'NoSuchBucket' && fault.name !== 'NoSuchUpload';
}

/** A conditional write lost: the object is there (412), or another write of it is going on (409). */
export function isConflict(fault: S3Fault): boolean {
  return fault.status === 412 || fault.name === 'PreconditionFailed' || fault.name === 'ConditionalRequestConflict';
}

/** In the words of an origin. `what` names the operation and the object, as in `reading a/b from s3://bucket`. */
export function s3Failure(what: string, bucket: string, cause: unknown): StarlingError {
  if (cause instanceof StarlingError) return cause;
  const fault = readFault(cause);
  const next = finalNext(fault, bucket);
  const message = `${what}: ${fault.name}${fault.status === undefined ? '' : ` ${fault.status}`} (${fault.message})`;
  if (next !== undefined) return new StarlingError('origin-refused', message, { next, cause });
  const tries = fault.attempts > 1 ? `, after ${fault.attempts} tries` : '';
  return new StarlingError('origin-unreachable', message + tries, { next: passingNext(fault), cause });
}

/** What to do about an error that no later try mends; `undefined` if a later try may. */
function finalNext(fault: S3Fault, bucket: string): string | undefined {
  switch (fault.name) {
    case 'NoSuchBucket':
      return `create the bucket ${bucket}, or correct its name`;
    case 'InvalidBucketName':
      return 'correct the name of the bucket: 3 to 63 lower-case letters, digits, "-" and "."';
    case 'CredentialsProviderError':
    case 'CredentialsError':
      return 'give AWS credentials: an instance role, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY';
    case 'ExpiredToken':
    case 'ExpiredTokenException':
    case 'TokenRefreshRequired':
      return 'renew the AWS credentials (`aws sso login`, or a new session token): they have expired';
    case 'InvalidAccessKeyId':
    case 'InvalidToken':
    case 'SignatureDoesNotMatch':
      return 'correct the AWS credentials: S3 does not know them';
    case 'RequestTimeTooSkewed':
      return "set this machine's clock: it is too far from S3's";
    case 'PermanentRedirect':
    case 'AuthorizationHeaderMalformed':
    case 'IllegalLocationConstraintException':
      return `set AWS_REGION to the region of the bucket${fault.bucketRegion ? `, ${fault.bucketRegion}` : ''}`;
    case 'PreconditionFailed':
      return 'publish under another job id: other bytes lie under this key';
    case 'InvalidObjectState':
      return 'restore the object from its archive class first';
    case 'NotImplemented':
      return 'use a store with conditional writes (If-None-Match), such as Amazon S3';
    default:
      return nextByStatus(fault, bucket);
  }
}

function nextByStatus(fault: S3Fault, bucket: string): string | undefined {
  switch (fault.status) {
    case 301:
      return `set AWS_REGION to the region of the bucket${fault.bucketRegion ? `, ${fault.bucketRegion}` : ''}`;
    case 401:
    case 403:
      return (
        `allow these credentials s3:GetObject and, to publish, s3:PutObject on ${bucket}; ` +
        'without s3:ListBucket a missing object looks like this too'
      );
    case 404:
      return 'check the bucket, the prefix and that the job was published to this origin';
    case 408:
    case 409:
    case 429:
      return undefined;
    default:
      break;
  }
  if (fault.status === undefined || fault.status >= 500 || fault.status < 400) return undefined;
  return 'this request will not be answered better another time; see the message of S3';
}

function passingNext(fault: S3Fault): string {
  if (fault.name === 'SlowDown' || fault.status === 503 || fault.status === 429) {
    return 'try again later: S3 limits requests a prefix; it grants more within the hour as the load stays';
  }
  return 'check the network, the endpoint (AWS_ENDPOINT_URL_S3) and, in a VPC, its endpoint for S3; then try again';
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Reflect.get(value, name);
}
