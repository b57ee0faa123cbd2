const native = globalThis.__longshore;

// What is hashed, as bytes: texts are UTF-8.
class Hasher {
  #parts = [];
  #finish;
  constructor(finish) { this.#finish = finish; }
  update(input) { this.#parts.push(native.bytes(input)); return this; }
  digest(encoding) { return this.#finish(native.join(this.#parts), encoding); }
}

export const createHash = (algorithm) => new Hasher((input, encoding) => native.digest(algorithm, input, encoding));
export const createHMAC = (algorithm, secret) =>
  new Hasher((input, encoding) => native.hmac(algorithm, native.bytes(secret), input, encoding));
export const hmac = (algorithm, secret, input, encoding) =>
  native.hmac(algorithm, native.bytes(secret), native.bytes(input), encoding);
export const randomBytes = (count) => native.randomBytes(count);

const hash = (algorithm) => (input, encoding) => native.digest(algorithm, native.bytes(input), encoding);
export const md5 = hash('md5'), sha1 = hash('sha1'), sha256 = hash('sha256'), sha384 = hash('sha384');
export const sha512 = hash('sha512'), sha512_256 = hash('sha512_256');
export const md4 = hash('md4'), sha512_224 = hash('sha512_224'), ripemd160 = hash('ripemd160');

export default {
  createHash, createHMAC, hmac, randomBytes, md4, md5, sha1, sha256, sha384, sha512, sha512_224, sha512_256, ripemd160,
};
