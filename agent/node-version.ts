/** The oldest Node that undici 8 runs on (it needs zstd in node:zlib). */
export const NODE_VERSION_MIN = '22.19.0';

/** `version` as in `process.versions.node`. */
export function isNodeTooOld(version: string): boolean {
  const [major = 0, minor = 0] = numbersOf(version);
  const [majorMin = 0, minorMin = 0] = numbersOf(NODE_VERSION_MIN);
  return major < majorMin || (major === majorMin && minor < minorMin);
}

function numbersOf(version: string): readonly number[] {
  return version.split('.').map(Number);
}
