// What goes wrong, and what it is called.
// differs: data_received
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 1, iterations: 1, userAgent: 'same' };

const to = (path) => `${__ENV.TARGET}/${path}`;

export default function () {
  for (const path of ['truncated', 'bad-chunk', 'rubbish', 'nothing']) {
    const answer = http.get(to(path));
    console.log(path, answer.status, answer.error_code, answer.error !== '');
  }
  console.log('refused', http.get('http://127.0.0.1:1/').error_code);
  console.log('timeout', http.get(to('delay/2000'), { timeout: '100ms' }).error_code);
  console.log('unknown', http.get('http://nobody.invalid/').error_code);
  http.setResponseCallback(http.expectedStatuses(404, { min: 500, max: 501 }));
  for (const status of [200, 404, 500, 502]) http.get(to(`status/${status}`));
  http.get(to('status/200'), { responseCallback: null });
  check(null, { 'of null': (r) => r === null });
}
