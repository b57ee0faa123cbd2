// Checks, groups, tags and all kinds of metrics.
import http from 'k6/http';
import { check, group, sleep, fail } from 'k6';
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';
import { double } from './lib/double.mjs';

const counter = new Counter('exact_counter');
const gauge = new Gauge('exact_gauge');
const rate = new Rate('exact_rate');
const trend = new Trend('exact_trend', true);
const text = open('./lib/words.txt');

export const options = {
  vus: 2,
  iterations: 6,
  userAgent: 'same',
  tags: { run: 'one' },
  thresholds: {
    http_req_duration: ['p(95)<60000', 'max<60000'],
    'http_reqs{name:home}': ['count==6'],
    'http_reqs{kind:second}': ['count===6'],
    'checks{check:fits}': ['rate==1'],
    exact_counter: ['count==12'],
    exact_gauge: ['value>0'],
  },
};

export function setup() {
  const answer = http.get(`${__ENV.TARGET}/json`);
  return { id: answer.json('list.1.id'), text: text.trim() };
}

export default function (data) {
  group('outer', () => {
    const home = http.get(`${__ENV.TARGET}/`, { tags: { name: 'home' } });
    check(home, { fits: (r) => r.status === 200 && r.body === 'ok' }, { extra: 'yes' });
    group('inner', () => {
      const second = http.get(`${__ENV.TARGET}/status/404`, { tags: { kind: 'second' } });
      check(second, {
        'is 404': (r) => r.status === 404,
        'code is 1404': (r) => r.error_code === 1404,
        never: () => false,
        'a value': true,
      });
    });
  });
  counter.add(double(1));
  gauge.add(7, { of: 'gauge' });
  rate.add(true);
  rate.add(0);
  trend.add(12.5);
  sleep(0.01);
  if (data.id !== 2 || data.text !== 'some words') fail('setup was not heard of');
}

export function teardown(data) {
  console.log('end', data.id, [data.text], 1.5, null, undefined, [1, 'x'], true);
}
