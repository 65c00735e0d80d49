import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../temporary-directory.ts';
import { agentCommand } from './agent-command.ts';

const COMMANDS = ['publish', 'fetch', 'origin', 'status', 'verify', 'demo'];

describe('help', () => {
  test.concurrent.each(COMMANDS)('of %s is there, with examples', async command => {
    const { exitCode, stdout } = await agentCommand([command, '--help']);

    expect(exitCode).toBe(0);
    expect(stdout).toContain(`Usage: agent ${command}`);
    expect(stdout).toMatch(new RegExp(`Examples:\\n(.*\\n)*.*agent ${command} `));
  });

  test('of the whole names every command', async () => {
    const { exitCode, stdout } = await agentCommand(['--help']);

    expect(exitCode).toBe(0);
    for (const command of COMMANDS) expect(stdout).toContain(`  ${command} `);
  });

  test('stands where no command is given, as a usage failure', async () => {
    const { exitCode, stdout, stderr } = await agentCommand([]);

    expect(exitCode).toBe(2);
    expect(stdout + stderr).toContain('Usage: agent');
  });

  test('tells the version of package.json', async () => {
    const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));

    expect((await agentCommand(['--version'])).stdout).toBe(`${manifest.version}\n`);
  });
});

describe('a wrong command line ends with 2, and says what is wrong and what to do', () => {
  const job = ['--job', 'j'];
  test.concurrent.each([
    [['fetsh'], "unknown command 'fetsh'", 'Did you mean fetch?'],
    [['fetch', '--lingr', '5s'], "unknown option '--lingr'", 'Did you mean --linger?'],
    [['fetch', '--dest', 'x'], "'--job <id>' is missing", 'agent fetch --help'],
    [['fetch', ...job], "'--dest <path>' is missing", 'agent fetch --help'],
    [['fetch', ...job, '--dest', 'x'], 'no origin is given', 'STARLING_ORIGIN'],
    [['fetch', '--job', '../j'], 'job id "../j"', 'letters, digits'],
    [['fetch', ...job, '--linger', 'a while'], "'--linger <duration>' argument 'a while'", 'agent fetch --help'],
    [['fetch', ...job, '--port', '65536'], "'--port <port>' argument '65536'", 'agent fetch --help'],
    [['fetch', ...job, '--tracker', 'ftp://x'], "'--tracker <url>' argument 'ftp://x'", 'agent fetch --help'],
    [['fetch', ...job, '--dest', 'x', '--origin', 'gopher://x'], 'gopher', 's3://bucket/prefix'],
    [['publish', ...job], "missing required argument 'path'", 'agent publish --help'],
    [['publish', 'a', 'b', ...job], 'too many arguments', 'agent publish --help'],
    [['status', ...job], 'no tracker is given', '--tracker'],
    [['demo', '--size', '5 apples'], "'--size <size>' argument '5 apples'", 'agent demo --help'],
    [['demo', '--agents', '0'], "'--agents <count>' argument '0'", 'agent demo --help'],
    [['origin'], "'--data <dir>' is missing", 'agent origin --help'],
    [['origin', '--data', 'd', '--host', '0.0.0.0'], 'without a token', '--no-auth'],
  ])('%j', async (args, what, next) => {
    const { exitCode, stdout, stderr } = await agentCommand(args);

    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(/^error: .*\nnext: .*\n$/);
    expect(stderr.split('\n')[0]).toContain(what);
    expect(stderr.split('\n')[1]).toContain(next);
  });

  test('and with --json in one object on stdout', async () => {
    const { stdout, stderr } = await agentCommand(['fetch', '--job', 'j', '--json']);

    expect(JSON.parse(stdout)).toMatchObject({ kind: 'error', code: 'usage', exitCode: 2 });
    expect(stderr).toBe('');
  });

  test('and names the variable that brought the value', async () => {
    const { stderr } = await agentCommand(['fetch', '--job', 'j', '--dest', 'x'], { env: { STARLING_LINGER: 'abc' } });

    expect(stderr).toContain("value 'abc' from env 'STARLING_LINGER' is invalid");
  });
});

describe('a setting is taken from', () => {
  /** An empty directory is an origin without jobs: the error of a fetch names the one that was asked. */
  async function originAsked(where: { flag?: boolean; variable?: boolean }): Promise<string> {
    const folder = await temporaryDirectory();
    for (const name of ['flag', 'variable', 'file']) await mkdir(join(folder, name));
    const settings = join(folder, 'agent.json');
    await writeFile(settings, JSON.stringify({ origin: join(folder, 'file'), linger: '1s' }));
    const flag = where.flag ? ['--origin', join(folder, 'flag')] : [];
    const variable = where.variable ? { STARLING_ORIGIN: join(folder, 'variable') } : {};
    const { stderr } = await agentCommand(['fetch', '--job', 'j', '--dest', join(folder, 'copy'), ...flag], {
      env: { STARLING_CONFIG: settings, ...variable },
    });
    return /job j is not in file:\/\/\S*\/(\w+)/.exec(stderr)?.[1] ?? stderr;
  }

  test('the flag first, then the variable, then the file', async () => {
    expect(await originAsked({ flag: true, variable: true })).toBe('flag');
    expect(await originAsked({ variable: true })).toBe('variable');
    expect(await originAsked({})).toBe('file');
  });

  test.each([
    ['{"origin": ', /agent\.json is not JSON/],
    ['{"orign": "s3://b"}', /agent\.json has the unknown key "orign"\nnext: .*origin, tracker/],
    ['{"origin": 7}', /agent\.json, key "origin"/],
    ['{"linger": "abc"}', /agent\.json, key "linger": Expected a duration/],
    ['[]', /agent\.json: /],
  ])('a file that is clear, else the file and the key are named: %s', async (text, told) => {
    const settings = join(await temporaryDirectory(), 'agent.json');
    await writeFile(settings, text);

    const { exitCode, stderr } = await agentCommand(['fetch', '--job', 'j', '--dest', 'x'], {
      env: { STARLING_CONFIG: settings },
    });

    expect(exitCode).toBe(2);
    expect(stderr).toMatch(told);
  });

  test('a file that is there, if one was named', async () => {
    const settings = join(await temporaryDirectory(), 'none.json');

    const { exitCode, stderr } = await agentCommand(['status', '--job', 'j'], { env: { STARLING_CONFIG: settings } });

    expect(exitCode).toBe(2);
    expect(stderr).toContain('none.json');
  });
});

describe('an exit code tells', () => {
  test('3: the origin is not there; with STARLING_DEBUG the stack is shown', async () => {
    const missing = join(await temporaryDirectory(), 'none');

    const { exitCode, stderr } = await agentCommand(['verify', '.', '--job', 'j', '--origin', missing], {
      env: { STARLING_DEBUG: '1' },
    });

    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/^error: .*\nnext: .*\nStarlingError: .*\n {4}at /);
  });

  test('1: the job is not published', async () => {
    const folder = await temporaryDirectory();

    expect((await agentCommand(['verify', folder, '--job', 'j', '--origin', folder])).exitCode).toBe(1);
  });

  test('0, then 4: what was fetched is whole, then damaged, and the file and chunk are named', async () => {
    const folder = await temporaryDirectory();
    const origin = ['--origin', join(folder, 'origin')];
    await mkdir(join(folder, 'origin'));
    await writeFile(join(folder, 'source'), 'some bytes');

    const published = await agentCommand(['publish', join(folder, 'source'), '--job', 'j', ...origin]);
    const fetched = await agentCommand([
      'fetch',
      '--job',
      'j',
      '--dest',
      join(folder, 'copy'),
      '--linger',
      '0',
      ...origin,
    ]);
    const whole = await agentCommand(['verify', join(folder, 'copy'), '--job', 'j', ...origin]);
    await writeFile(join(folder, 'copy'), 'other byte');
    const damaged = await agentCommand(['verify', join(folder, 'copy'), '--job', 'j', '--json', ...origin]);

    expect(published).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('published j: 10 B in 1 chunk') });
    expect(fetched).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/done: .*copy, 10 B in .* verified/) });
    expect(whole).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('verified: ') });
    expect(damaged.exitCode).toBe(4);
    expect(linesOf(damaged.stdout)).toContainEqual(expect.objectContaining({ kind: 'verified', badChunks: [0] }));
    expect(linesOf(damaged.stdout).at(-1)).toMatchObject({ kind: 'error', code: 'integrity' });
  });

  test('5: the source cannot be read', async () => {
    const folder = await temporaryDirectory();
    const args = ['publish', join(folder, 'none'), '--job', 'j', '--origin', folder];

    expect((await agentCommand(args)).exitCode).toBe(5);
  });

  test('130: it was interrupted', async () => {
    // Takes the connection and never says a word.
    const silent = createServer();
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const address = silent.address();
    const port = typeof address === 'object' ? address?.port : undefined;

    const { exitCode, stderr } = await agentCommand(
      [
        'fetch',
        '--job',
        'j',
        '--dest',
        join(await temporaryDirectory(), 'copy'),
        '--origin',
        `http://127.0.0.1:${port}`,
      ],
      { onOutput: (_stdout, kill) => kill('SIGINT') },
    );

    expect(exitCode).toBe(130);
    expect(stderr).toMatch(/^error: interrupted.*\nnext: run the same command again/);
  });
});

describe('agent origin', () => {
  test('prints commands that work as they stand, without the token, and ends with 0 when asked to', async () => {
    const folder = await temporaryDirectory();
    await writeFile(join(folder, 'source'), 'some bytes');
    const env = { STARLING_TOKEN: 'the-secret' };
    let published: ReturnType<typeof agentCommand> | undefined;

    const { exitCode, stdout } = await agentCommand(
      ['origin', '--data', join(folder, 'data'), '--host', '0.0.0.0', '--port', '0'],
      {
        env,
        onOutput: (greeting, kill) => {
          const command = /npx agent (publish .*)$/m.exec(greeting)?.[1];
          if (command === undefined || published !== undefined) return;
          const args = command.replace('<path>', join(folder, 'source')).replace('<id>', 'j').split(' ');
          published = agentCommand(args, { env });
          published.finally(() => kill('SIGTERM'));
        },
      },
    );

    expect(exitCode).toBe(0);
    expect(stdout).not.toContain('the-secret');
    expect(stdout).not.toContain('0.0.0.0:');
    expect(await published).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('published j') });
  });

  test('says that the port is in use, and ends with 1', async () => {
    const taken = createServer();
    await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void taken.close());
    const address = taken.address();
    const port = typeof address === 'object' ? address?.port : undefined;

    const end = await agentCommand(['origin', '--data', await temporaryDirectory(), '--port', `${port}`]);

    expect(end.exitCode).toBe(1);
    expect(end.stderr).toContain(`port ${port} of 127.0.0.1 is in use`);
  });
});

function linesOf(stdout: string): readonly unknown[] {
  return stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line));
}
