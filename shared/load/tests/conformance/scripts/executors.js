// Executors that know how many iterations there are. Of arrivals k6 may begin one more or less at the very end.
// differs: exact_seen, iterations, iterations{scenario:even}, iterations{scenario:ramp}, dropped_iterations, tags
import { sleep } from 'k6';
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';

const seen = new Counter('exact_seen');

export const options = {
  scenarios: {
    shared: { executor: 'shared-iterations', vus: 3, iterations: 10, tags: { own: 'tag' } },
    each: { executor: 'per-vu-iterations', vus: 2, iterations: 3, exec: 'other', env: { WHICH: 'each' } },
    even: { executor: 'constant-arrival-rate', rate: 20, duration: '1s', preAllocatedVUs: 10, startTime: '0.3s' },
    ramp: {
      executor: 'ramping-arrival-rate', startRate: 0, timeUnit: '1s', preAllocatedVUs: 10,
      stages: [{ duration: '1s', target: 20 }, { duration: '500ms', target: 0 }],
    },
  },
  thresholds: {
    'iterations{scenario:shared}': ['count==10'],
    'iterations{scenario:each}': ['count==6'],
    'iterations{scenario:even}': ['count>=17', 'count<=21'],
    'iterations{scenario:ramp}': ['count>=12', 'count<=16'],
    'exact_seen{own:tag}': ['count==10'],
  },
};

export default function () {
  seen.add(1);
  if (exec.scenario.name === 'shared') console.log(exec.scenario.iterationInTest, exec.scenario.executor);
  sleep(0.01);
}

export function other() {
  console.log(__ENV.WHICH, exec.vu.iterationInInstance, exec.vu.iterationInScenario);
}
