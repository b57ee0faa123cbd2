// A threshold that aborts ends the run long before its time.
// differs: checks, iterations, root_group
import { check, sleep } from 'k6';

export const options = {
  vus: 2,
  duration: '60s',
  thresholds: { checks: [{ threshold: 'rate>0.9', abortOnFail: true }] },
};

export default function () {
  check(1, { never: () => false });
  sleep(0.1);
}
