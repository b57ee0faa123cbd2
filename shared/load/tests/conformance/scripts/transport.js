// How bodies arrive, redirects and cookies.
import http from 'k6/http';

export const options = { vus: 1, iterations: 2, userAgent: 'same' };

const to = (path) => `${__ENV.TARGET}/${path}`;

export default function () {
  for (const path of ['chunked', 'gzip', 'close', 'large/100000', 'status/204', 'status/304', 'informed']) {
    const answer = http.get(to(path));
    console.log(path, answer.status, answer.body === null ? null : answer.body.length, answer.error_code);
  }
  console.log(http.get(to('redirect/3')).url.endsWith('/redirect/0'));
  console.log(http.get(to('redirect/3'), { redirects: 1 }).status);
  console.log(http.get(to('redirect/3'), { redirects: 0 }).status);
  console.log(http.post(to('keep-method'), 'again').body);
  console.log(http.post(to('see-other'), 'gone').body);
  console.log('before', http.get(to('cookies')).body);
  const set = http.get(to('set-cookie/own'));
  console.log(set.cookies.own[0].value, set.cookies.http[0].http_only, set.cookies.own[0].path);
  console.log('after', http.get(to('cookies')).body);
  const sent = http.get(to('cookies'), { cookies: { more: '3', own: { value: '9', replace: true } } }).body;
  console.log('with', sent.split('; ').sort().join());
  const jar = http.cookieJar();
  jar.set(to(''), 'set', 'by hand');
  console.log(Object.keys(jar.cookiesForURL(to(''))).sort().join());
  const other = new http.CookieJar();
  console.log('other', http.get(to('cookies'), { jar: other }).body);
}
