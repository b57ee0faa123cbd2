//! Whom it concerns that something new lies beside an image.

use longshore_events::Digest;

use crate::Policy;

impl Policy {
    /// The units of `gate` that wait for signatures of the image at `digest`: one for each environment that requires them, of
    /// each service with that image.
    pub fn units_to_sign(&self, image: &str, digest: &Digest) -> Vec<String> {
        let of = self.services.iter().filter(|service| service.image.as_str() == image);
        let units = of.flat_map(|service| {
            let places = self.environments_of(&service.name).filter(|environment| environment.gate.signature);
            places.map(|environment| format!("{}/{}@{digest}", environment.name, service.name))
        });
        units.collect()
    }
}

/// The image that a tag of cosign's lies beside: `sha256-<hex>.sig`, and `sha256-<hex>` where a registry lists no referrers.
pub fn image_of_tag(tag: &str) -> Option<Digest> {
    let hex = tag.strip_suffix(".sig").unwrap_or(tag).strip_prefix("sha256-")?;
    Digest::new(format!("sha256:{hex}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_of_cosign_name_the_image() {
        let hex = "a".repeat(64);
        let digest = Digest::new(format!("sha256:{hex}")).unwrap();
        for tag in [format!("sha256-{hex}.sig"), format!("sha256-{hex}")] {
            assert_eq!(image_of_tag(&tag).as_ref(), Some(&digest), "{tag}");
        }
        for tag in
            [format!("sha256-{hex}.att"), format!("sha256:{hex}"), "latest".into(), "sha256-12.sig".into()]
        {
            assert_eq!(image_of_tag(&tag), None, "{tag}");
        }
    }
}
