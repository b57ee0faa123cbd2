//! Lists that come in pages.

use longshore_ports::Secret;
use reqwest::Url;
use serde::de::DeserializeOwned;

use crate::ForgeError;
use crate::api::Api;

/// As many as both forges give at once.
pub(crate) const PER_PAGE: (&str, &str) = ("per_page", "100");
/// More pages than these are not read: ten thousand branches.
const MAX_PAGES: usize = 100;

/// Everything of a list, page by page, as the forge says where the next one is.
pub(crate) async fn all<T: DeserializeOwned>(
    api: &Api,
    first: Url,
    tokens: &[Secret],
) -> Result<Vec<T>, ForgeError> {
    let mut all = Vec::new();
    let mut next = Some(first);
    for _ in 0..MAX_PAGES {
        let Some(url) = next else { return Ok(all) };
        let answer = api.get(url, tokens).await?;
        all.extend(api.parse::<Vec<T>>(&answer.bytes)?);
        next = answer.next;
    }
    if next.is_some() { Err(api.too_long(MAX_PAGES, "pages")) } else { Ok(all) }
}
