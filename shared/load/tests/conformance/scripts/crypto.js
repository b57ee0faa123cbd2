// Digests, HMAC, and what they are written as.
import crypto, { createHash, createHMAC, hmac } from 'k6/crypto';

export default function () {
  for (const name of ['md5', 'sha1', 'sha256', 'sha384', 'sha512', 'sha512_256']) {
    console.log(name, crypto[name]('hällo', 'hex'), crypto[name](new Uint8Array([1, 2, 3]).buffer, 'base64'));
    console.log('hmac', name, hmac(name, 'secret', 'text', 'hex'));
  }
  const hash = createHash('sha256');
  hash.update('one ');
  hash.update('two');
  console.log(hash.digest('base64url'), hash.digest('base64rawurl'));
  const keyed = createHMAC('sha256', 'secret');
  keyed.update('text');
  console.log(keyed.digest('hex'), new Uint8Array(crypto.sha1('x', 'binary')).length, new Uint8Array(crypto.randomBytes(5)).length);
}
