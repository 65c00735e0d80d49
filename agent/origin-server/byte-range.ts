import type { Bytes } from '../../core/ids.ts';
import type { ByteRange } from '../origins/origin.ts';

// 15 digits are exact in a number.
const RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/;

/**
 * One range of a Range header (RFC 9110, 14.2), cut to what there is of the object. `unsatisfiable` also for what the
 * RFC lets a server ignore (several ranges, other units, nonsense): the whole of a large object is no answer to a slip.
 */
export function parseRange(header: string, lengthBytes: Bytes): ByteRange | 'unsatisfiable' {
  const [, first = '', last = ''] = RANGE.exec(header) ?? [];
  if (first === '' && last === '') return 'unsatisfiable';
  const offsetBytes = first === '' ? Math.max(0, lengthBytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? lengthBytes : Math.min(lengthBytes, Number(last) + 1);
  return end > offsetBytes ? { offsetBytes, lengthBytes: end - offsetBytes } : 'unsatisfiable';
}
