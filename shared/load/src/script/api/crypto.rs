//! `k6/crypto`: digests, HMAC and random bytes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use ring::digest::{self, Algorithm};
use ring::rand::{SecureRandom as _, SystemRandom};
use rquickjs::function::Opt;
use rquickjs::{ArrayBuffer, Ctx, Exception, IntoJs, Object, Result, Value};

use super::{set, text};
use crate::md5::{hex, md5};
use crate::raw::bytes_of;

pub(super) fn install<'js>(native: &Object<'js>) -> Result<()> {
    set(native, "bytes", |ctx: Ctx<'js>, input: Value<'js>| ArrayBuffer::new(ctx, bytes(&input)?))?;
    set(native, "join", |ctx: Ctx<'js>, parts: Vec<Value<'js>>| {
        let all = parts.iter().map(bytes).collect::<Result<Vec<_>>>()?;
        ArrayBuffer::new(ctx, all.concat())
    })?;
    set(native, "digest", |ctx: Ctx<'js>, name: String, input: Value<'js>, encoding: Opt<Value<'js>>| {
        let made = Hash::of(&ctx, &name)?.digest(&bytes(&input)?);
        encoded(&ctx, made, encoding.0)
    })?;
    set(
        native,
        "hmac",
        |ctx: Ctx<'js>, name: String, secret: Value<'js>, input: Value<'js>, encoding: Opt<Value<'js>>| {
            let made = Hash::of(&ctx, &name)?.hmac(&bytes(&secret)?, &bytes(&input)?);
            encoded(&ctx, made, encoding.0)
        },
    )?;
    set(native, "randomBytes", |ctx: Ctx<'js>, count: usize| {
        let mut made = vec![0_u8; count.min(1 << 20)];
        let filled = SystemRandom::new().fill(&mut made);
        filled.map_err(|_| Exception::throw_message(&ctx, "the system gives no random bytes"))?;
        ArrayBuffer::new(ctx, made)
    })
}

fn bytes(input: &Value<'_>) -> Result<Vec<u8>> {
    bytes_of(input).map_or_else(|| text(input).map(String::into_bytes), Ok)
}

/// A hash function: one of ring's, or MD5.
enum Hash {
    Md5,
    Of(&'static Algorithm),
}

impl Hash {
    fn of(ctx: &Ctx<'_>, name: &str) -> Result<Self> {
        Ok(match name {
            "md5" => Self::Md5,
            "sha1" => Self::Of(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            "sha256" => Self::Of(&digest::SHA256),
            "sha384" => Self::Of(&digest::SHA384),
            "sha512" => Self::Of(&digest::SHA512),
            "sha512_256" => Self::Of(&digest::SHA512_256),
            other => {
                let message = format!(
                    "the hash function {other:?} is not supported: use md5, sha1, sha256, sha384, sha512 or sha512_256"
                );
                return Err(Exception::throw_message(ctx, &message));
            }
        })
    }

    fn digest(&self, input: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => md5(input).to_vec(),
            Self::Of(algorithm) => digest::digest(algorithm, input).as_ref().to_vec(),
        }
    }

    fn block(&self) -> usize {
        match self {
            Self::Md5 => 64,
            Self::Of(algorithm) => algorithm.block_len(),
        }
    }

    /// HMAC (RFC 2104).
    fn hmac(&self, secret: &[u8], input: &[u8]) -> Vec<u8> {
        let mut key = if secret.len() > self.block() { self.digest(secret) } else { secret.to_vec() };
        key.resize(self.block(), 0);
        let padded = |pad: u8| key.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
        let inner = self.digest(&[padded(0x36).as_slice(), input].concat());
        self.digest(&[padded(0x5c), inner].concat())
    }
}

fn encoded<'js>(ctx: &Ctx<'js>, made: Vec<u8>, encoding: Option<Value<'js>>) -> Result<Value<'js>> {
    let encoding = encoding.filter(|value| !value.is_undefined()).map(|value| text(&value)).transpose()?;
    match encoding.as_deref() {
        Some("hex") => hex(&made).into_js(ctx),
        Some("base64") => STANDARD.encode(made).into_js(ctx),
        Some("base64url") => URL_SAFE.encode(made).into_js(ctx),
        Some("base64rawurl") => URL_SAFE_NO_PAD.encode(made).into_js(ctx),
        Some("binary") => ArrayBuffer::new(ctx.clone(), made).map(ArrayBuffer::into_value),
        other => {
            let message = format!("invalid output encoding: {}", other.unwrap_or_default());
            Err(Exception::throw_message(ctx, &message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_its_standards() {
        let made = |hash: Hash, secret: &[u8], input: &str| hex(&hash.hmac(secret, input.as_bytes()));
        assert_eq!(
            made(Hash::Md5, b"Jefe", "what do ya want for nothing?"),
            "750c783e6ab0b503eaa86e310a5db738"
        );
        assert_eq!(
            made(Hash::Of(&digest::SHA256), b"Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let long = [0xaa; 131];
        assert_eq!(
            made(Hash::Of(&digest::SHA256), &long, "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
