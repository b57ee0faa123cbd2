//! Options of requests.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Overrides;
use super::fields::Fields;

/// How requests are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpOptions {
    pub(crate) user_agent: String,
    pub(crate) max_redirects: u32,
    pub(crate) batch: usize,
    pub(crate) batch_per_host: usize,
    pub(crate) throw: bool,
    pub(crate) discard_bodies: bool,
    pub(crate) insecure: bool,
    /// Every request has a connection of its own.
    pub(crate) no_reuse: bool,
    /// Every iteration begins without connections.
    pub(crate) no_vu_reuse: bool,
    /// Cookies outlive iterations.
    pub(crate) no_cookies_reset: bool,
    /// Addresses of names, with or without a port, instead of what is looked up.
    pub(crate) hosts: BTreeMap<String, String>,
    /// Networks that are never spoken to: address and length of the prefix.
    pub(crate) blocked: Vec<(IpAddr, u8)>,
}

impl HttpOptions {
    pub(super) fn read(fields: &mut Fields<'_>, flags: &Overrides) -> Result<Self, String> {
        let small = |number: Option<u64>, default: usize| {
            number.map_or(default, |number| usize::try_from(number).unwrap_or(usize::MAX).max(1))
        };
        let agent = fields.text("userAgent")?;
        let agent = flags.user_agent.clone().or(agent);
        let redirects = fields.whole("maxRedirects")?.map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        let networks = fields.list("blacklistIPs")?.unwrap_or_default();
        Ok(Self {
            user_agent: agent.unwrap_or_else(|| concat!("longshore/", env!("CARGO_PKG_VERSION")).to_owned()),
            max_redirects: flags.max_redirects.or(redirects).unwrap_or(10),
            batch: small(fields.whole("batch")?, 20),
            batch_per_host: small(fields.whole("batchPerHost")?, 6),
            throw: fields.flag("throw")?.unwrap_or(false) || flags.throw,
            discard_bodies: fields.flag("discardResponseBodies")?.unwrap_or(false) || flags.discard_bodies,
            insecure: fields.flag("insecureSkipTLSVerify")?.unwrap_or(false) || flags.insecure,
            no_reuse: fields.flag("noConnectionReuse")?.unwrap_or(false) || flags.no_reuse,
            no_vu_reuse: fields.flag("noVUConnectionReuse")?.unwrap_or(false) || flags.no_vu_reuse,
            no_cookies_reset: fields.flag("noCookiesReset")?.unwrap_or(false),
            hosts: fields.texts("hosts")?.into_iter().collect(),
            blocked: networks.iter().map(|text| network(text)).collect::<Result<_, _>>()?,
        })
    }
}

/// An address with the length of its prefix, `10.0.0.0/8`.
pub(crate) fn network(text: &str) -> Result<(IpAddr, u8), String> {
    let wrong = || format!("{text:?} is not a network: write for example 10.0.0.0/8");
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = if length.is_empty() { Ok(most) } else { length.trim().parse() };
    length.ok().filter(|length| *length <= most).map(|length| (address, length)).ok_or_else(wrong)
}
