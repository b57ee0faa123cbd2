const native = globalThis.__longshore;
const { get, head, post, put, patch, del, options, request, batch, asyncRequest } = native;
const { expectedStatuses, setResponseCallback, file } = native;

export { get, head, post, put, patch, del, options, request, batch, asyncRequest };
export { expectedStatuses, setResponseCallback, file };

// A template's name is its text with `${}` where the values stand.
export const url = (parts, ...values) => ({
  name: parts.join('${}'),
  url: parts.reduce((made, part, at) => made + values[at - 1] + part),
  toString() { return this.url; },
});

export class CookieJar {
  #id;
  constructor(id) { this.#id = id === undefined ? native.newJar() : id; }
  get __jar() { return this.#id; }
  set(url, name, value, options) { return native.jarSet(this.#id, String(url), String(name), String(value), options); }
  cookiesForURL(url) { return native.jarGet(this.#id, String(url)); }
  clear(url) { return native.jarClear(this.#id, String(url)); }
  delete(url, name) { return native.jarDelete(this.#id, String(url), String(name)); }
}
export const cookieJar = () => new CookieJar(0);

export const TLS_1_0 = 'tls1.0', TLS_1_1 = 'tls1.1', TLS_1_2 = 'tls1.2', TLS_1_3 = 'tls1.3';
export const OCSP_STATUS_GOOD = 'good', OCSP_STATUS_REVOKED = 'revoked', OCSP_STATUS_UNKNOWN = 'unknown';
export const SSL_3_0 = 'ssl3.0';

export default {
  get, head, post, put, patch, del, options, request, batch, asyncRequest, expectedStatuses, setResponseCallback, file,
  url, CookieJar, cookieJar, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3, SSL_3_0,
  OCSP_STATUS_GOOD, OCSP_STATUS_REVOKED, OCSP_STATUS_UNKNOWN,
};
