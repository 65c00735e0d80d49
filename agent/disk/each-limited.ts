import { config } from '../../core/config.ts';

/**
 * Run a file operation for every item, `config.disk.fileOperationsMax` at one time. Items are drawn as there is room for
 * them, so that 100,000 files are not 100,000 waiting promises. After a failure no other item is begun; when this rejects
 * (with the first failure) none is under way.
 */
export async function eachLimited<T>(items: Iterable<T>, operation: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failure: { readonly cause: unknown } | undefined;
  const run = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done && !failure; next = iterator.next()) {
      try {
        await operation(next.value);
      } catch (cause) {
        failure ??= { cause };
      }
    }
  };
  await Promise.all(Array.from({ length: config.disk.fileOperationsMax }, run));
  if (failure) throw failure.cause;
}
