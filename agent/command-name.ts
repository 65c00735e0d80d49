import process from 'node:process';

/** What a reader has to type to run us: the sources are run by npm's Node, the installed package by its name. */
export function commandName(): string {
  return process.argv[1]?.endsWith('.ts') ? 'npx agent' : 'agent';
}
