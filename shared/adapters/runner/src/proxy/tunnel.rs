//! What a connection becomes when client and release agree on another protocol, such as WebSocket.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::sync::OwnedSemaphorePermit;

use super::link::Link;
use crate::release::cell::Open;

/// Passes bytes both ways until both sides are done. Until then the request is open, and the connection has its place.
pub(super) async fn join(client: OnUpgrade, link: Box<Link>, open: Open, place: Arc<OwnedSemaphorePermit>) {
    let joined = async {
        let mut client = TokioIo::new(client.await.map_err(std::io::Error::other)?);
        let (mut release, early) = link.upgraded().await;
        client.write_all(&early).await?;
        copy_bidirectional(&mut client, &mut release).await
    };
    if let Err(error) = joined.await {
        tracing::debug!(release = open.cell.release, %error, "an upgraded connection ended early");
    }
    drop(place);
}
