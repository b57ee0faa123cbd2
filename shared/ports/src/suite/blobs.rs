//! What every store of blobs must do.

use crate::{BlobRef, Blobs, ErrorKind};

/// Runs every test of the suite, each on a store of its own.
pub async fn run<B: Blobs>(make: impl AsyncFn() -> B) {
    what_is_put_is_got(&make().await).await;
    the_same_content_twice_is_one_blob(&make().await).await;
    a_blob_that_was_never_put_is_not_found(&make().await).await;
}

async fn what_is_put_is_got<B: Blobs>(blobs: &B) {
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 4]).collect();
    for content in [Vec::new(), b"\0\xff text\r\n".to_vec(), large] {
        let blob = blobs.put(content.clone()).await.expect("it is stored");
        assert_eq!(blob, BlobRef::of(&content));
        assert!(blobs.get(&blob).await.expect("it is there") == content, "{blob:?} came back changed");
    }
}

async fn the_same_content_twice_is_one_blob<B: Blobs>(blobs: &B) {
    let first = blobs.put(b"once".to_vec()).await.expect("it is stored");
    let second = blobs.put(b"once".to_vec()).await.expect("it is stored again");
    assert_eq!(first, second);
    assert_eq!(blobs.get(&first).await.expect("it is there"), b"once");
}

async fn a_blob_that_was_never_put_is_not_found<B: Blobs>(blobs: &B) {
    blobs.put(b"something else".to_vec()).await.expect("it is stored");
    let error = blobs.get(&BlobRef::of(b"never put")).await.expect_err("it is not there");
    assert_eq!(error.kind, ErrorKind::NotFound);
}
