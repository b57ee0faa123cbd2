//! Who may use the API, Git and the registry: whoever knows the host's token; the API, people by their own, too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longshore_policy::Policy;
use longshore_ports::{ErrorKind, PortError, Secret, Secrets};
use subtle::ConstantTimeEq as _;

/// Whether an `Authorization` header carries one of the tokens, as a bearer or as a password. Two are valid while the
/// token is changed.
pub fn opens(authorization: &str, tokens: &[Secret]) -> bool {
    let Some((scheme, credentials)) = authorization.split_once(' ') else { return false };
    let candidate = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => credentials.trim().as_bytes().to_vec(),
        "basic" => {
            let decoded = STANDARD.decode(credentials.trim()).unwrap_or_default();
            let colon = decoded.iter().position(|byte| *byte == b':');
            colon.map(|colon| decoded[colon + 1..].to_vec()).unwrap_or_default()
        }
        _ => return false,
    };
    let usable = tokens.iter().filter(|token| !token.expose().is_empty());
    usable.fold(false, |open, token| open | bool::from(candidate.ct_eq(token.expose())))
}

/// Whose token a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The host's own: whoever runs it.
    Host,
    /// That of a person of the configuration.
    Person(String),
}

impl Caller {
    /// The person's name; `None` for the host's own token.
    pub fn person(&self) -> Option<&str> {
        match self {
            Self::Host => None,
            Self::Person(name) => Some(name),
        }
    }
}

/// Who sends an `Authorization` header; `None` when no token that it carries is known here. A person whose token is not
/// there cannot be told, and that is logged.
///
/// # Errors
/// When the secrets of people cannot be read.
pub async fn caller(
    authorization: &str,
    host: &[Secret],
    policy: &Policy,
    secrets: &dyn Secrets,
) -> Result<Option<Caller>, PortError> {
    if opens(authorization, host) {
        return Ok(Some(Caller::Host));
    }
    for person in &policy.people {
        match secrets.get(&person.secret).await {
            Ok(tokens) if opens(authorization, &tokens) => {
                return Ok(Some(Caller::Person(person.name.clone())));
            }
            Ok(_) => {}
            Err(error) if error.kind == ErrorKind::NotFound => {
                let (person, secret) = (&person.name, &person.secret);
                tracing::warn!(person, secret, "has no token: the secret is not there");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_opens() {
        let tokens = [Secret::new("s3cret"), Secret::new("older"), Secret::new("")];
        assert!(opens("Bearer s3cret", &tokens));
        assert!(opens("bearer s3cret", &tokens));
        assert!(opens("Bearer older", &tokens), "the one before is still valid");
        assert!(opens(&format!("Basic {}", STANDARD.encode("anyone:s3cret")), &tokens));
        for bad in ["Bearer s3cre", "Bearer ", "Basic x", "Basic Og==", "s3cret", "Digest s3cret", ""] {
            assert!(!opens(bad, &tokens), "{bad}");
        }
        assert!(!opens("Bearer s3cret", &[]));
    }
}
