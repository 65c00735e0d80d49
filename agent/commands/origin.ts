import { once } from 'node:events';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import process from 'node:process';
import { type Command, Option } from 'commander';
import type { Locality } from '../../core/announce-answer.ts';
import { StarlingError } from '../../core/errors.ts';
import { commandName } from '../command-name.ts';
import { jsonOption, needed, portOption, tokenOption } from './options.ts';

const EXAMPLES = `
Examples:
  agent origin --data /srv/starling                                       for this machine only
  STARLING_TOKEN=$(openssl rand -hex 16) agent origin --data /srv/starling --host 0.0.0.0
  agent origin --data /srv/starling --host 10.0.0.5 --no-auth             in a network where everybody is trusted`;

const DEFAULT_PORT = 7070;

type OriginFlags = {
  readonly data: string;
  readonly host: string;
  readonly port: number;
  readonly token?: string;
  /** commander's reading of --no-auth. */
  readonly auth: boolean;
  readonly locality: Locality;
  readonly json?: boolean;
  readonly verbose?: boolean;
};

export function addOriginCommand(program: Command): void {
  program
    .command('origin')
    .description('serve a directory as origin and tracker: no cloud needed')
    .addOption(needed(new Option('--data <dir>', 'where the objects lie; made if it is not there')))
    .option('--host <address>', 'the address to listen on; 0.0.0.0 is all of them', '127.0.0.1')
    .addOption(portOption('the port to listen on; 0 takes a free one').default(DEFAULT_PORT))
    .addOption(tokenOption())
    .addOption(
      new Option('--locality <borders>', 'agents trade inside their zone, or in the whole region')
        .choices(['zone', 'region'])
        .default('zone'),
    )
    .option('--no-auth', 'let everybody in the network read and write, without a token')
    .addOption(jsonOption())
    .option('--verbose', 'log every request to stderr')
    .addHelpText('after', EXAMPLES)
    .action(serveOrigin);
}

async function serveOrigin(flags: OriginFlags): Promise<void> {
  checkAuth(flags);
  const [{ startEmbeddedOrigin }, { openStderrLog }, { listenForInterruption }] = await Promise.all([
    import('../embedded-origin.ts'),
    import('../stderr-log.ts'),
    import('../interruption.ts'),
  ]);
  const interruption = listenForInterruption();
  const server = await startEmbeddedOrigin({
    dataDir: flags.data,
    host: flags.host,
    port: flags.port,
    token: flags.auth ? flags.token : undefined,
    locality: flags.locality,
    log: openStderrLog(flags.verbose ? 'debug' : 'warn'),
  });
  const url = `http://${reachable(flags.host)}:${server.port}`;
  const words = flags.json ? JSON.stringify({ kind: 'listening', url, port: server.port }) : greeting(url, flags);
  process.stdout.write(`${words}\n`);
  if (!interruption.signal.aborted) await once(interruption.signal, 'abort');
  await server.close();
  interruption.end();
}

function checkAuth({ host, token, auth }: OriginFlags): void {
  if (!auth || token !== undefined || isLoopback(host)) return;
  throw new StarlingError('usage', `without a token, everybody who reaches ${host} could read and write all jobs`, {
    next: 'set STARLING_TOKEN (to the output of: openssl rand -hex 16), or say --no-auth in a network you trust',
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function greeting(url: string, flags: OriginFlags): string {
  const agent = commandName();
  const hasToken = flags.auth && flags.token !== undefined;
  return [
    `origin and tracker at ${url}, objects in ${flags.data}`,
    '',
    ...(hasToken ? ['  export STARLING_TOKEN=<the token of this origin>'] : []),
    `  publish:  ${agent} publish <path> --job <id> --origin ${url}`,
    `  fetch:    ${agent} fetch --job <id> --dest <path> --origin ${url}`,
    `  watch:    ${agent} status --job <id> --origin ${url} --watch`,
    '',
    ...(isLoopback(flags.host) ? ['Only this machine can reach it; for others start it with --host 0.0.0.0.'] : []),
    'Ctrl-C ends it; the jobs stay where they are.',
  ].join('\n');
}

/** `host` in the form of a URL, or an address of this machine that others can reach if it stands for all of them. */
function reachable(host: string): string {
  const address = host === '0.0.0.0' || host === '::' ? (outerAddress() ?? '127.0.0.1') : host;
  return isIP(address) === 6 ? `[${address}]` : address;
}

/** `undefined` without a network. IPv4 before IPv6; the first of the machine's interfaces, which is the right one where there is only one. */
function outerAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? []);
  const outer = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'));
  return (outer.find(({ family }) => family === 'IPv4') ?? outer[0])?.address;
}
