//! `FROM`: what a stage starts with.

use parse_dockerfile::FromInstruction;

use super::{Base, Bases, PackError, StoredLayer, line::Line, stage::Stage, tree::Tree};
use crate::image::{Config, Descriptor, LAYER_GZIP, Platform};

/// As BuildKit: an image without a `PATH` of its own gets this one.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Stage<'_> {
    /// Starts the stage from what `FROM` names.
    pub(super) fn from(
        &mut self,
        line: Line,
        from: &FromInstruction<'_>,
        earlier: &[&str],
        bases: &dyn Bases,
    ) -> Result<(), PackError> {
        std::mem::swap(&mut self.args, &mut self.globals);
        let here = Platform::of_this_host();
        for flag in &from.options {
            let value =
                flag.value.as_ref().map_or(Ok(String::new()), |value| self.expand(line, &value.value))?;
            if flag.name.value != "platform" || value != here.to_string() {
                return Err(line.unsupported(&format!("FROM --{}={value}", flag.name.value)));
            }
        }
        let reference = self.expand(line, &from.image.value)?;
        std::mem::swap(&mut self.args, &mut self.globals);
        if earlier.contains(&reference.as_str()) {
            return Err(line.unsupported(&format!("FROM the earlier stage {reference:?}")));
        }
        if reference != "scratch" {
            let base = bases.base(&reference);
            let base = base.map_err(|source| PackError::Base { reference: reference.clone(), source })?;
            let base = base.ok_or(PackError::NoBase { line: line.number, reference })?;
            self.take_base(line, base)?;
        }
        if !self.run.env.iter().any(|pair| pair.starts_with("PATH=")) {
            self.run.env.push(format!("PATH={PATH}"));
        }
        Ok(())
    }

    fn take_base(&mut self, line: Line, base: Base) -> Result<(), PackError> {
        let wrong = |error| line.invalid(format!("the base image's configuration is damaged: {error}"));
        let config: Config = serde_json::from_slice(&base.config).map_err(wrong)?;
        let here = Platform::of_this_host();
        if config.os != here.os || config.architecture != here.architecture {
            let (os, architecture) = (config.os, config.architecture);
            return Err(
                line.invalid(format!("the base image is for {os}/{architecture}, this host is {here}"))
            );
        }
        if !config.config.on_build.is_empty() {
            return Err(line.unsupported("a base image with ONBUILD"));
        }
        if config.rootfs.diff_ids.len() != base.layers.len() {
            return Err(line.invalid("the base image's configuration does not fit its layers"));
        }
        self.tree = Tree::of(&base.layers)?;
        self.run = config.config;
        self.diff_ids = config.rootfs.diff_ids;
        self.layers =
            base.layers.into_iter().map(|layer| oci_layer(line, layer)).collect::<Result<_, _>>()?;
        Ok(())
    }
}

/// An OCI manifest names layers by OCI's media types; Docker's mean the same bytes.
fn oci_layer(line: Line, layer: StoredLayer) -> Result<StoredLayer, PackError> {
    let StoredLayer { descriptor: Descriptor { media_type, digest, size, .. }, path } = layer;
    let media_type = match media_type.as_str() {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => LAYER_GZIP.to_owned(),
        "application/vnd.docker.image.rootfs.diff.tar" => "application/vnd.oci.image.layer.v1.tar".to_owned(),
        oci if oci.starts_with("application/vnd.oci.image.layer.v1.tar") => media_type,
        other => return Err(line.unsupported(&format!("a base image with a layer of type {other:?}"))),
    };
    Ok(StoredLayer { descriptor: Descriptor::new(&media_type, digest, size), path })
}
