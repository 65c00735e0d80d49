import { describe, expect, test } from 'vitest';
import { BearerToken } from '../../../agent/peers/bearer-token.ts';
import { chunkPath, linkPath, parseRoute } from '../../../agent/peers/wire.ts';
import { parseJobId } from '../../../core/ids.ts';

const JOB = parseJobId('films-2024');

describe('a route', () => {
  test('is read back as it was made', () => {
    expect(parseRoute({ method: 'POST', path: linkPath(JOB) }, JOB, 10)).toEqual({ kind: 'link' });
    for (const chunk of [0, 9, 1234]) {
      expect(parseRoute({ method: 'GET', path: chunkPath(JOB, chunk) }, JOB, 1235)).toEqual({ kind: 'chunk', chunk });
    }
  });

  test.each([
    ['GET', linkPath(JOB)],
    ['POST', chunkPath(JOB, 1)],
    ['GET', chunkPath(JOB, 10)],
    ['GET', `${chunkPath(JOB, 1)}?x`],
    ['GET', `${chunkPath(JOB, 1)}/`],
    ['GET', '/v1/jobs/films-2024/chunks/01'],
    ['GET', '/v1/jobs/films-2024/chunks/-1'],
    ['GET', '/v1/jobs/films-2024/chunks/1e0'],
    ['GET', '/v1/jobs/films-2024/chunks/99999999'],
    ['GET', '/v1/jobs/films-2025/chunks/1'],
    ['GET', undefined],
    [undefined, linkPath(JOB)],
  ])('%s %s leads nowhere', (method, path) => {
    expect(parseRoute({ method, path }, JOB, 10)).toEqual({ kind: 'unknown' });
  });
});

describe('a token', () => {
  test.each([
    ['Bearer secret', true],
    ['bearer secret', false],
    ['Bearer secre', false],
    ['Bearer secret ', false],
    ['secret', false],
    ['', false],
    [undefined, false],
  ])('in %j is accepted: %j', (header, expected) => {
    expect(new BearerToken('secret').accepts(header)).toBe(expected);
  });
});
