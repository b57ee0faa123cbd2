// Every verb, what bodies become, and what the answer holds.
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 1, iterations: 1, userAgent: 'same' };

const to = (path) => `${__ENV.TARGET}/${path}`;
const seen = (name, answer) => console.log(name, answer.status, answer.body);

export default function () {
  seen('get', http.get(to('echo?a=b&c=d%20e'), { headers: { 'x-test': 'yes' } }));
  seen('post text', http.post(to('echo'), 'text'));
  seen('post form', http.post(to('echo'), { b: '2 3', a: 'ä&', list: ['x', 'y'] }));
  seen('post json', http.post(to('echo'), JSON.stringify({ a: 1 }), { headers: { 'Content-Type': 'application/json' } }));
  seen('post nothing', http.post(to('echo')));
  seen('put', http.put(to('echo'), 'put'));
  seen('patch', http.patch(to('echo'), 'patch'));
  seen('del', http.del(to('echo')));
  seen('options', http.options(to('echo')));
  seen('request', http.request('PUT', to('echo'), 'body', { headers: { 'X-Test': '1' } }));
  seen('basic', http.get(to('echo').replace('http://', 'http://user:pass@')));
  const head = http.head(to('large/10'));
  console.log('head', head.status, head.body, head.headers['Content-Length']);
  const json = http.get(to('json'));
  console.log(json.json('list.0.name'), json.json('list.#'), json.json('deep.x'), json.json('deep.y'), json.json().list.length);
  console.log(json.headers['X-Two'], json.status_text, json.proto, json.url === to('json'), json.error, json.error_code);
  console.log(json.request.method, json.request.url === to('json'), json.remote_ip, json.remote_port > 0);
  check(json, { 'timings are there': (r) => r.timings.duration >= r.timings.waiting && r.timings.blocked >= 0 });
  const binary = http.get(to('large/3'), { responseType: 'binary' });
  console.log(binary.body.byteLength, new Uint8Array(binary.body)[0]);
  console.log(http.get(to('large/3'), { responseType: 'none' }).body);
  const answers = http.batch([to('status/201'), ['GET', to('status/202')], { method: 'POST', url: to('echo'), body: 'b' }]);
  console.log(answers.map((a) => a.status).join());
  const named = http.batch({ a: to('status/203'), b: ['POST', to('echo'), 'x', { tags: { of: 'batch' } }] });
  console.log(named.a.status, named.b.json('body'));
  console.log(http.get(http.url`${__ENV.TARGET}/status/${200}`).status);
}
