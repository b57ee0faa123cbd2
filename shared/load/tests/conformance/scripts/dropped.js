// Arrivals for which nobody is free are dropped, and counted.
// differs: dropped_iterations
import { sleep } from 'k6';

export const options = {
  thresholds: { dropped_iterations: ['count>=8', 'count<=9'] },
  scenarios: {
    busy: { executor: 'constant-arrival-rate', rate: 10, duration: '1s', preAllocatedVUs: 2, gracefulStop: '0s' },
  },
};

export default function () {
  sleep(30);
}
