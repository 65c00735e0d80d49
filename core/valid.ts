import type * as z from 'zod/mini';
import { StarlingError } from './errors.ts';

/** What `schema` makes of `json`. Throws `invalid-message`, naming `what` and its first field that is wrong. */
export function valid<T extends z.ZodMiniType>(schema: T, json: unknown, what: string): z.output<T> {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new StarlingError('invalid-message', `${what} not understood: ${issue?.path.join('.')} ${issue?.message}`);
}
