//! Unpacked images, shared by the releases that run them and removed with the last.

pub(crate) mod platform;
mod program;
pub(crate) mod pull;
mod sync;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use longshore_events::{Digest, ImageRef};
use longshore_oci::image::Config as ImageConfig;
use longshore_ports::PortError;

use crate::error::{RunnerError, file};
use crate::release::cell::locked;
use crate::state::children;

/// Where images come from.
#[async_trait]
pub(crate) trait Images: Send + Sync {
    /// Unpacks the image into the folder `rootfs`, which does not exist yet, and returns its configuration.
    ///
    /// # Errors
    /// A temporary one when it may work later, a permanent one when this image can never be had.
    async fn fetch(&self, image: &ImageRef, rootfs: &Path) -> Result<ImageConfig, PortError>;
}

/// An unpacked image.
#[derive(Debug, Clone)]
pub(crate) struct Unpacked {
    /// Its files.
    pub(crate) rootfs: PathBuf,
    /// Its configuration.
    pub(crate) config: ImageConfig,
}

/// The unpacked images of a runner, one folder for each digest.
pub(crate) struct Store {
    folder: PathBuf,
    source: Arc<dyn Images>,
    slots: Mutex<BTreeMap<Digest, Slot>>,
}

/// How many releases need an image, and the lock under which its folder is made and removed.
#[derive(Default)]
struct Slot {
    users: usize,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Store {
    /// The images below `data`.
    pub(crate) fn new(data: &Path, source: Arc<dyn Images>) -> Self {
        Self { folder: data.join("images"), source, slots: Mutex::default() }
    }

    /// Removes what no release needs, and what an earlier runner left half done.
    pub(crate) fn sweep(&self, needed: &BTreeSet<&Digest>) -> Result<(), RunnerError> {
        let names: BTreeSet<&str> = needed.iter().map(|digest| digest.hex()).collect();
        for path in children(&self.folder)? {
            if !path.file_name().and_then(|name| name.to_str()).is_some_and(|name| names.contains(name)) {
                remove(&path).map_err(file("remove", &path))?;
            }
        }
        Ok(())
    }

    /// One more release needs the image.
    pub(crate) fn need(&self, digest: &Digest) {
        locked(&self.slots).entry(digest.clone()).or_default().users += 1;
    }

    /// One release less needs the image; it is removed with the last.
    pub(crate) async fn leave(&self, digest: &Digest) {
        let lock = {
            let mut slots = locked(&self.slots);
            let Some(slot) = slots.get_mut(digest) else { return };
            slot.users -= 1;
            Arc::clone(&slot.lock)
        };
        let _held = lock.lock().await;
        if locked(&self.slots).get(digest).is_some_and(|slot| slot.users > 0) {
            return;
        }
        let path = self.folder.join(digest.hex());
        let removed = blocking(move || remove(&path)).await;
        if let Err(error) = removed {
            tracing::warn!(image.digest = %digest, %error, "cannot remove an image; the next start tries again");
        }
        let mut slots = locked(&self.slots);
        if slots.get(digest).is_some_and(|slot| slot.users == 0) {
            slots.remove(digest);
        }
    }

    /// The unpacked image, fetched if it is not here. Dropping the future does not stop the fetch half-way.
    pub(crate) async fn unpacked(self: &Arc<Self>, image: &ImageRef) -> Result<Unpacked, PortError> {
        let (store, image) = (Arc::clone(self), image.clone());
        let operation = format!("fetch {image}");
        let fetched = tokio::spawn(async move { store.fetch(&image).await }).await;
        fetched.unwrap_or_else(|error| Err(PortError::unavailable(operation, error)))
    }

    async fn fetch(&self, image: &ImageRef) -> Result<Unpacked, PortError> {
        let lock = Arc::clone(&locked(&self.slots).entry(image.digest.clone()).or_default().lock);
        let _held = lock.lock().await;
        let folder = self.folder.join(image.digest.hex());
        let failed = |error: io::Error| PortError::unavailable(format!("unpack {image}"), error);
        if let Some(config) = read_config(&folder).map_err(failed)? {
            return Ok(Unpacked { rootfs: folder.join("rootfs"), config });
        }
        let aside = folder.with_extension("tmp");
        let fresh = aside.clone();
        blocking(move || remove(&fresh).and_then(|()| fs::create_dir_all(&fresh))).await.map_err(failed)?;
        let config = self.source.fetch(image, &aside.join("rootfs")).await?;
        write_config(&aside, &config).map_err(failed)?;
        // On the disk before it has its name: what has it is whole, also after the machine failed.
        let whole = folder.clone();
        blocking(move || sync::tree(&aside).and_then(|()| sync::rename(&aside, &whole)))
            .await
            .map_err(failed)?;
        Ok(Unpacked { rootfs: folder.join("rootfs"), config })
    }
}

fn read_config(folder: &Path) -> io::Result<Option<ImageConfig>> {
    match fs::read(folder.join("config.json")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => Ok(Some(serde_json::from_slice(&bytes?)?)),
    }
}

fn write_config(folder: &Path, config: &ImageConfig) -> io::Result<()> {
    fs::write(folder.join("config.json"), serde_json::to_vec(config)?)
}

/// Runs what waits for the disk where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Removes a folder whose own folders may be read-only, as an image can have them.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            unlock(path)?;
            fs::remove_dir_all(path)
        }
        done => done,
    }
}

fn unlock(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            unlock(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::testing::release;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    #[async_trait]
    impl Images for Counting {
        async fn fetch(&self, image: &ImageRef, rootfs: &Path) -> Result<ImageConfig, PortError> {
            if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                return Err(PortError::unavailable(format!("fetch {image}"), "not yet"));
            }
            fs::create_dir_all(rootfs.join("closed")).unwrap();
            fs::set_permissions(rootfs.join("closed"), fs::Permissions::from_mode(0o500)).unwrap();
            Ok(ImageConfig { os: "linux".into(), ..ImageConfig::default() })
        }
    }

    #[tokio::test]
    async fn an_image_is_fetched_once_and_removed_with_its_last_release() {
        let data = tempfile::tempdir().unwrap();
        let source = Arc::new(Counting::default());
        let store = Arc::new(Store::new(data.path(), Arc::clone(&source) as Arc<dyn Images>));
        let image = release(1, 'a', 0).image;
        store.need(&image.digest);
        store.need(&image.digest);
        assert!(store.unpacked(&image).await.unwrap_err().is_temporary());
        let (a, b) = tokio::join!(store.unpacked(&image), store.unpacked(&image));
        assert_eq!((a.unwrap().config.os, source.0.load(Ordering::Relaxed)), ("linux".into(), 2));
        let rootfs = b.unwrap().rootfs;
        store.leave(&image.digest).await;
        assert!(rootfs.exists());
        store.leave(&image.digest).await;
        assert!(!rootfs.exists());
    }

    #[test]
    fn what_nobody_needs_is_swept() {
        let data = tempfile::tempdir().unwrap();
        let store = Store::new(data.path(), Arc::new(Counting::default()));
        let needed = release(1, 'a', 0).image.digest;
        for name in [needed.hex(), "other", &format!("{}.tmp", needed.hex())] {
            fs::create_dir_all(data.path().join("images").join(name).join("rootfs")).unwrap();
        }
        store.sweep(&BTreeSet::from([&needed])).unwrap();
        assert_eq!(
            children(&data.path().join("images")).unwrap(),
            [data.path().join("images").join(needed.hex())]
        );
    }
}
