//! Signing, for those who send: the host's own repositories and registry, `longshore events send`, and tests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use longshore_ports::Secret;
use sha2::Sha256;

/// What a Standard Webhooks secret starts with; base64 of the key follows.
pub const WHSEC: &str = "whsec_";

/// The value of GitHub's `X-Hub-Signature-256` for `body`.
pub fn github(secret: &Secret, body: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut value = String::from("sha256=");
    for byte in mac(secret.expose(), &[body]) {
        let _ = write!(value, "{byte:02x}");
    }
    value
}

/// The headers `webhook-id`, `webhook-timestamp` and `webhook-signature` of Standard Webhooks for `body`, sent at
/// `at` seconds since 1970. `None` when the secret starts with `whsec_` and no base64 follows.
pub fn standard(secret: &Secret, id: &str, at: i64, body: &[u8]) -> Option<[(&'static str, String); 3]> {
    let at = at.to_string();
    let signature = STANDARD.encode(standard_mac(&standard_key(secret)?, id, &at, body));
    Some([
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at),
        ("webhook-signature", format!("v1,{signature}")),
    ])
}

/// The key in a secret: after `whsec_` it is base64, else the secret's own bytes.
pub(crate) fn standard_key(secret: &Secret) -> Option<Vec<u8>> {
    let value = secret.expose().trim_ascii();
    match value.strip_prefix(WHSEC.as_bytes()) {
        Some(encoded) => STANDARD.decode(encoded).ok().filter(|key| !key.is_empty()),
        None => Some(value.to_vec()),
    }
}

/// What Standard Webhooks signs: `{id}.{timestamp}.{body}`.
pub(crate) fn standard_mac(key: &[u8], id: &str, at: &str, body: &[u8]) -> [u8; 32] {
    mac(key, &[id.as_bytes(), b".", at.as_bytes(), b".", body])
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's documentation, "Validating webhook deliveries".
    #[test]
    fn github_signs_as_its_documentation_says() {
        let secret = Secret::new("It's a Secret to Everybody");
        assert_eq!(
            github(&secret, b"Hello, World!"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        );
    }

    /// The example of the Standard Webhooks libraries' own tests.
    #[test]
    fn standard_webhooks_signs_as_its_libraries_do() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let [_, _, (_, signature)] =
            standard(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_whsec_secret_without_base64_is_no_key() {
        assert_eq!(standard_key(&Secret::new("whsec_!")), None);
        assert_eq!(standard_key(&Secret::new("whsec_")), None);
    }
}
