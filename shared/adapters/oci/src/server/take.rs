//! An image that was made beside the store: its files become blobs without a way over HTTP.

use std::{fs, io};

use super::{Store, StoreError, store::failed};
use crate::{image::Descriptor, names::Repository, packer::Image, packer::StoredLayer};

impl Store {
    /// Takes an image that was packed here, and tags it, as a push would. The files of its layers are moved; layers of
    /// its base are here already. Again is no harm: what is here stays.
    ///
    /// # Errors
    /// [`StoreError`] when a layer is neither here nor where the image says, or the store cannot be written.
    pub fn take(&self, repository: &Repository, tag: &str, image: &Image) -> Result<(), StoreError> {
        for layer in &image.layers {
            if !self.hold(&layer.descriptor.digest)? {
                self.take_layer(layer)?;
            }
        }
        self.put_blob(&image.config)?;
        let digest = self.put_blob(&image.manifest)?;
        let descriptor = Descriptor::new(Image::MEDIA_TYPE, digest, image.manifest.len() as u64);
        self.link_manifest(repository, &descriptor, None)?;
        self.set_tag(repository, tag, &descriptor.digest)
    }

    fn take_layer(&self, layer: &StoredLayer) -> Result<(), StoreError> {
        let upload = self.new_upload()?;
        match fs::rename(&layer.path, &upload) {
            // Another file system.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                fs::copy(&layer.path, &upload).map_err(failed("copy", &layer.path))?;
            }
            moved => moved.map_err(failed("move", &layer.path))?,
        }
        self.adopt(&upload, &layer.descriptor.digest)
    }
}
