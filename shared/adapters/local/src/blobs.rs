//! Blobs as files named by their content: `ab/abcdef…`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use longshore_ports::{BlobRef, Blobs, ErrorKind, PortError};

use crate::write::{remove_asides, write_whole};

/// The largest blob, in bytes.
const LARGEST: usize = 64 << 20;

/// Blobs in a folder.
pub struct FileBlobs {
    folder: PathBuf,
}

impl FileBlobs {
    /// Opens the folder, or makes it, and removes what a crash left half-written.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                remove_asides(&entry.path())?;
            }
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where a blob lies, if it is there.
    pub fn path(&self, blob: &BlobRef) -> PathBuf {
        let hex = blob.0.hex();
        self.folder.join(&hex[..2]).join(hex)
    }
}

#[async_trait]
impl Blobs for FileBlobs {
    async fn put(&self, content: Vec<u8>) -> Result<BlobRef, PortError> {
        if content.len() > LARGEST {
            let reason = format!("{} bytes are more than {LARGEST}", content.len());
            return Err(PortError::invalid("blob put", reason));
        }
        let folder = self.folder.clone();
        blocking("blob put".to_owned(), move || {
            let blob = BlobRef::of(&content);
            let path = FileBlobs { folder }.path(&blob);
            if !path.exists() {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                write_whole(&path, &content, 0o644)?;
            }
            Ok(blob)
        })
        .await
    }

    async fn get(&self, blob: &BlobRef) -> Result<Vec<u8>, PortError> {
        let (path, wanted) = (self.path(blob), blob.clone());
        let operation = format!("blob get {}", blob.0);
        let (content, found) = blocking(operation.clone(), move || {
            let content = fs::read(path)?;
            let found = BlobRef::of(&content);
            Ok((content, found))
        })
        .await?;
        if found == wanted {
            return Ok(content);
        }
        Err(PortError::invalid(operation, "the file was changed; remove it, or restore it from a copy"))
    }
}

async fn blocking<T: Send + 'static>(
    operation: String,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, PortError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(PortError::new(ErrorKind::NotFound, operation, error))
        }
        Ok(Err(error)) => Err(PortError::unavailable(operation, error)),
        Err(error) => Err(PortError::unavailable(operation, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_keep_the_contract_of_blobs() {
        let folder = tempfile::tempdir().unwrap();
        let stores = std::sync::atomic::AtomicU32::new(0);
        longshore_ports::suite::blobs::run(async || {
            let number = stores.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            FileBlobs::open(&folder.path().join(number.to_string())).unwrap()
        })
        .await;
    }

    #[tokio::test]
    async fn a_changed_file_is_refused_and_not_returned() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::open(folder.path()).unwrap();
        let blob = blobs.put(b"whole".to_vec()).await.unwrap();
        fs::write(blobs.path(&blob), "other").unwrap();
        let error = blobs.get(&blob).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.to_string().contains("was changed"), "{error}");
    }

    #[tokio::test]
    async fn what_a_crash_left_half_written_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::open(folder.path()).unwrap();
        let blob = blobs.put(b"whole".to_vec()).await.unwrap();
        let half = blobs.path(&blob).with_file_name(".new-1-1");
        fs::write(&half, "ha").unwrap();
        let blobs = FileBlobs::open(folder.path()).unwrap();
        assert!(!half.exists());
        assert_eq!(blobs.get(&blob).await.unwrap(), b"whole");
    }

    #[tokio::test]
    async fn more_than_64_mib_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FileBlobs::open(folder.path()).unwrap();
        assert_eq!(blobs.put(vec![0; LARGEST + 1]).await.unwrap_err().kind, ErrorKind::Invalid);
    }
}
