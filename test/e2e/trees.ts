import { createCipheriv, hash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes that no two seeds share, the same in every run. */
export function sampleBytes(lengthBytes: number, seed: number): Buffer {
  const key = Buffer.alloc(16, seed);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(lengthBytes));
}

export async function writeSample(path: string, lengthBytes: number, seed: number): Promise<string> {
  await writeFile(path, sampleBytes(lengthBytes, seed));
  return path;
}

/**
 * What lies at `root`, one line an entry: kind, mode, link target, SHA-256. Shares nothing with the code under test.
 * The mode of a directory that is the root itself is the destination's own. Synchronous, for 10,000 files are many.
 */
export function listTree(root: string): readonly string[] {
  const lines: string[] = [];
  const visit = (path: string, name: string): void => {
    const stats = lstatSync(path);
    const mode = (stats.mode & 0o777).toString(8);
    if (stats.isSymbolicLink()) lines.push(`${name} -> ${readlinkSync(path)}`);
    else if (stats.isFile()) lines.push(`${name} ${mode} ${stats.size} ${hash('sha256', readFileSync(path))}`);
    else {
      lines.push(name === '.' ? '. directory' : `${name} ${mode} directory`);
      for (const child of readdirSync(path).sort()) visit(join(path, child), `${name}/${child}`);
    }
  };
  visit(root, '.');
  return lines;
}
