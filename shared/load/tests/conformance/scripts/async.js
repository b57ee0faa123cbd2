// Promises, timers and requests beside the script.
import http from 'k6/http';
import { Counter } from 'k6/metrics';
import { setTimeout } from 'k6/timers';

const done = new Counter('exact_done');

export const options = { vus: 1, iterations: 2, userAgent: 'same' };

const later = (ms, value) => new Promise((resolve) => setTimeout(() => resolve(value), ms));

export default async function () {
  console.log(await later(10, 'later'));
  const answers = await Promise.all([
    http.asyncRequest('GET', `${__ENV.TARGET}/delay/100`),
    http.asyncRequest('POST', `${__ENV.TARGET}/echo`, 'x'),
  ]);
  console.log(answers.map((answer) => answer.status).join());
  setTimeout(() => done.add(1), 20);
  if (__ITER === 1) {
    await later(1);
    throw new Error('rejected');
  }
}
