//! What is there: tags in pages, and the referrers of a manifest.

use axum::{
    http::{StatusCode, header},
    response::Response,
};
use longshore_events::Digest;

use super::{
    Registry,
    answer::{Answer, FILTERS, Fault},
    route::query,
};
use crate::{image::INDEX, names::Repository};

/// How many tags one answer lists, unless the client wants fewer.
const PAGE: usize = 1000;

impl Registry {
    pub(super) async fn tags(&self, repository: Repository, query_text: &str) -> Result<Response, Fault> {
        let name = repository.clone();
        let tags = self.blocking(move |store| Ok(store.tags(&name)?)).await?;
        let tags =
            tags.ok_or_else(|| Fault::not_found("NAME_UNKNOWN", format!("there is no {repository}")))?;
        let wanted = query(query_text, "n").map(|n| n.parse::<usize>()).transpose();
        let wanted = wanted.map_err(|_| Fault::bad("PAGINATION_NUMBER_INVALID", "n must be a number"))?;
        let count = wanted.unwrap_or(PAGE).min(PAGE);
        let last = query(query_text, "last").unwrap_or_default();
        let mut rest = tags.into_iter().filter(|tag| *tag > last);
        let page: Vec<String> = rest.by_ref().take(count).collect();
        let mut answer = Answer::new(StatusCode::OK);
        if let (Some(last), Some(_)) = (page.last(), rest.next()) {
            let link = format!("</v2/{repository}/tags/list?n={count}&last={last}>; rel=\"next\"");
            answer = answer.with(header::LINK, &link);
        }
        let body = serde_json::json!({ "name": repository.as_str(), "tags": page }).to_string();
        Ok(answer.body("application/json", body))
    }

    pub(super) async fn referrers(
        &self,
        repository: Repository,
        subject: Digest,
        query_text: &str,
    ) -> Result<Response, Fault> {
        let mut found = self.blocking(move |store| Ok(store.referrers(&repository, &subject)?)).await?;
        let mut answer = Answer::new(StatusCode::OK);
        if let Some(wanted) = query(query_text, "artifactType") {
            found.retain(|descriptor| descriptor.artifact_type.as_ref() == Some(&wanted));
            answer = answer.with(FILTERS, "artifactType");
        }
        let body = serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": found });
        Ok(answer.body(INDEX, body.to_string()))
    }
}
