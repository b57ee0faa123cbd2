// The usual shape of a load test, scaled in time: rise, hold, fall.
// differs: checks, http_reqs, http_req_failed, iterations, data_sent, data_received, root_group
import http from 'k6/http';
import { check, sleep } from 'k6';

export const options = {
  stages: [
    { duration: '500ms', target: 10 },
    { duration: '1s', target: 50 },
    { duration: '500ms', target: 10 },
  ],
  thresholds: { http_req_failed: ['rate<0.01'], checks: ['rate>0.99'] },
  userAgent: 'same',
};

export default function () {
  const answer = http.get(`${__ENV.TARGET}/`);
  check(answer, { 'status is 200': (r) => r.status === 200 });
  sleep(0.1);
}
