//! Who may use the API, Git and the registry: whoever knows the token.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longshore_ports::Secret;
use subtle::ConstantTimeEq as _;

/// Lets a request through that carries the token, as a bearer or as a password.
pub(super) async fn need_token(State(token): State<Secret>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.is_some_and(|given| is_token(given, &token)) {
        return next.run(request).await;
    }
    let body = r#"{"code":"LS0301","message":"this needs the token: send it as `Authorization: Bearer`, or as a password; it lies in the file `token` of the data folder"}"#;
    let headers = [
        (header::WWW_AUTHENTICATE, r#"Basic realm="longshore""#),
        (header::CONTENT_TYPE, "application/json"),
    ];
    (StatusCode::UNAUTHORIZED, headers, body).into_response()
}

fn is_token(given: &str, token: &Secret) -> bool {
    let Some((scheme, credentials)) = given.split_once(' ') else { return false };
    let candidate = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => credentials.trim().as_bytes().to_vec(),
        "basic" => {
            let decoded = STANDARD.decode(credentials.trim()).unwrap_or_default();
            let colon = decoded.iter().position(|byte| *byte == b':');
            colon.map(|colon| decoded[colon + 1..].to_vec()).unwrap_or_default()
        }
        _ => return false,
    };
    bool::from(candidate.ct_eq(token.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let token = Secret::new("s3cret");
        assert!(is_token("Bearer s3cret", &token));
        assert!(is_token("bearer s3cret", &token));
        assert!(is_token(&format!("Basic {}", STANDARD.encode("anyone:s3cret")), &token));
        for bad in ["Bearer s3cre", "Bearer ", "Basic x", "s3cret", "Digest s3cret"] {
            assert!(!is_token(bad, &token), "{bad}");
        }
    }
}
