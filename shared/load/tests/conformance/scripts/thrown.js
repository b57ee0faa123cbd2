// Errors in iterations are told of, and end nothing.
import { check, fail } from 'k6';

export const options = { vus: 1, iterations: 4, thresholds: { checks: ['rate>0.5'] } };

export default function () {
  if (__ITER === 0) throw new Error('first');
  if (__ITER === 1) fail('second');
  if (__ITER === 2) check(1, { throws: () => { throw new TypeError('third'); } });
  check(1, { last: (value) => value === 2 });
}
