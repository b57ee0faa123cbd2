//! Clusters of EKS: where their API is, and the token that lets us in. Both by plain signed requests: the SDK's clients of EKS
//! and STS would bring more than the two calls are worth.
//!
//! A token is a request to STS for who we are, presigned for a minute and bound to one cluster by a signed header. The cluster
//! sends it, and takes us for whom STS names. Sources: "DescribeCluster", EKS's API reference; "GetCallerIdentity", STS's;
//! README of aws-iam-authenticator, "API Authorization from Outside a Cluster"; `aws eks get-token`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use longshore_ports::{Clock, ErrorKind, PortError, Secret};
use serde::Deserialize;

use crate::Aws;
use crate::failure::{Call, said, silent};
use crate::plain::{Answer, Plain};

const DESCRIBE: &str = "look at the cluster";
const MINT: &str = "make a token for the cluster";
/// What a token begins with.
const PREFIX: &str = "k8s-aws-v1.";
/// The header that binds a token to a cluster.
const BOUND_TO: &str = "x-k8s-aws-id";
/// How long the cluster may take to send the request: EKS refuses tokens that could be sent later.
const WITHIN: Duration = Duration::from_mins(1);
/// A cluster takes a token for 15 minutes from when it was made; a minute is left for clocks that differ.
const VALID: SignedDuration = SignedDuration::from_mins(14);

/// Where a cluster's API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its address, `https://…`.
    pub endpoint: String,
    /// The certificate that its own is signed with: PEM, in base64, as a kubeconfig has it.
    pub authority: String,
}

/// Lets its bearer into one cluster.
#[derive(Debug, Clone)]
pub struct ClusterToken {
    /// The bearer token.
    pub token: Secret,
    /// Until when the cluster takes it.
    pub expires: Timestamp,
}

#[derive(Deserialize)]
struct Described {
    cluster: Found,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    status: String,
    endpoint: Option<String>,
    certificate_authority: Option<Authority>,
}

#[derive(Deserialize)]
struct Authority {
    data: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    message: String,
}

impl Aws {
    /// Where the API of a cluster in the region is. `clock` gives the time that the request is signed with.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such cluster, [`ErrorKind::Denied`] when it may not be looked at,
    /// [`ErrorKind::Unavailable`] while it has no API yet.
    pub async fn cluster(&self, name: &str, clock: Arc<dyn Clock>) -> Result<Cluster, PortError> {
        check(DESCRIBE, name)?;
        let uri = format!("{}/clusters/{name}", self.account.address("eks"));
        let answer = Plain::new(self, "eks", clock).send("GET", &uri, &[], Vec::new()).await;
        let region = &self.account.region;
        let answer = answer.map_err(|error| silent(call("EKS", region), error))?;
        read(&answer, name, region)
    }

    /// A token for a cluster, valid from now on; make one for each step, rather than keep one. Asks nobody.
    ///
    /// # Errors
    /// When the name can be no cluster's.
    pub fn cluster_token(&self, name: &str, clock: Arc<dyn Clock>) -> Result<ClusterToken, PortError> {
        check(MINT, name)?;
        let uri = format!("{}/?Action=GetCallerIdentity&Version=2011-06-15", self.account.address("sts"));
        let expires = clock.now() + VALID;
        let url = Plain::new(self, "sts", clock).presigned(&uri, &[(BOUND_TO, name)], WITHIN);
        let url = url.map_err(|error| PortError::invalid(MINT, error))?;
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url));
        Ok(ClusterToken { token: Secret::new(token), expires })
    }
}

fn check(operation: &str, name: &str) -> Result<(), PortError> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let starts = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if starts && name.len() <= 100 && name.bytes().all(is_name) {
        return Ok(());
    }
    let why = format!("{name:?} is no name of a cluster: letters, digits, '-' and '_', at most 100");
    Err(PortError::invalid(operation, why))
}

fn call<'a>(resource: &'a str, region: &'a str) -> Call<'a> {
    Call { operation: DESCRIBE, action: "eks:DescribeCluster", resource, region }
}

fn read(answer: &Answer, name: &str, region: &str) -> Result<Cluster, PortError> {
    if answer.status != 200 {
        return Err(refused(answer, name, region));
    }
    let found: Described =
        serde_json::from_slice(&answer.body).map_err(|error| PortError::invalid(DESCRIBE, error))?;
    let Found { status, endpoint, certificate_authority } = found.cluster;
    let authority = certificate_authority.and_then(|authority| authority.data);
    let Some((endpoint, authority)) = endpoint.zip(authority) else {
        let why = format!("the cluster {name} is {status}, and has no API; wait until it is ACTIVE");
        return Err(PortError::unavailable(DESCRIBE, why));
    };
    Ok(Cluster { endpoint, authority })
}

fn refused(answer: &Answer, name: &str, region: &str) -> PortError {
    let said_there: Said = serde_json::from_slice(&answer.body).unwrap_or(Said { message: String::new() });
    if answer.code == "ResourceNotFoundException" {
        let why = format!("there is no cluster {name} in {region}; correct its name, or AWS_REGION");
        return PortError::new(ErrorKind::NotFound, DESCRIBE, why);
    }
    let code = if answer.code.is_empty() { format!("HTTP {}", answer.status) } else { answer.code.clone() };
    said(call(&format!("the cluster {name}"), region), answer.status, &code, &said_there.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str, body: &str) -> Result<Cluster, PortError> {
        read(&Answer { status, code: code.into(), body: body.into() }, "shop", "eu-west-1")
    }

    #[test]
    fn a_cluster_that_is_being_made_has_no_api_yet() {
        let creating = answer(200, "", r#"{"cluster":{"name":"shop","status":"CREATING"}}"#).unwrap_err();
        assert!(creating.is_temporary() && creating.to_string().contains("shop is CREATING"), "{creating}");
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let missing = answer(404, "ResourceNotFoundException", r#"{"message":"No cluster found"}"#);
        let missing = missing.unwrap_err();
        assert_eq!(missing.kind, ErrorKind::NotFound);
        assert!(missing.to_string().contains("no cluster shop in eu-west-1"), "{missing}");
        let user = "User: x is not authorized to perform: eks:DescribeCluster on resource: y";
        let denied = answer(403, "AccessDeniedException", &format!(r#"{{"message":"{user}"}}"#)).unwrap_err();
        assert!(denied.to_string().contains("may not eks:DescribeCluster on the cluster shop"), "{denied}");
        assert!(answer(503, "", "").unwrap_err().is_temporary());
    }

    #[test]
    fn names_that_no_cluster_has_are_refused() {
        for name in ["", "-shop", "sh op", "shop/x", "shöp", &"s".repeat(101)] {
            assert_eq!(check(MINT, name).unwrap_err().kind, ErrorKind::Invalid, "{name:?}");
        }
        assert!(check(MINT, "shop-1_a").is_ok());
    }
}
