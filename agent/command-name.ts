/** What a reader has to type to run us: the sources are run by npm's Node, the installed package by its name. */
export function commandName(): string {
  return import.meta.url.endsWith('.ts') ? 'npx agent' : 'agent';
}
