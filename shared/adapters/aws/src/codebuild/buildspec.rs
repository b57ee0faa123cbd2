//! The buildspec of a service, and all else that a build of it is given.
//!
//! A buildspec is YAML; this one is JSON, which YAML takes, so that no text of a configuration can be read as anything but a
//! text. Each phase is one part of the build: install fetches the commit, `pre_build` prepares, build tests, `post_build`
//! packs and pushes.
//!
//! Sources: "Build specification reference for CodeBuild"; Docker's "Registry cache" and "Announcing remote cache support
//! in Amazon ECR for BuildKit clients" for the cache.

use std::fmt::Write as _;

use longshore_events::{CommitId, ImageName};
use longshore_policy::{ForgeKind, MAX_MANIFESTS, Repository, Service, ServiceSource};
use serde_json::{Value, json};

use crate::registry::place;

/// Where the commit lies in the build, as the shell knows it.
const SOURCE: &str = "\"$LONGSHORE_SRC\"";
/// The tag of the layers that builds share.
const CACHE: &str = "longshore-cache";
const GIT_TOKEN: &str = "LONGSHORE_GIT_TOKEN";
/// Where the manifests lie in the build.
const RENDERED: &str = "\"$LONGSHORE_SRC.yaml\"";
/// What renders, where the image of CodeBuild does not have it: Go, which it has, checks what it brings.
const HELM: &str = "helm.sh/helm/v4/cmd/helm@v4.3.1";
const KUSTOMIZE: &str = "sigs.k8s.io/kustomize/kustomize/v5@v5.8.2";
/// What CodeBuild takes as a time limit, in minutes.
const MINUTES: (i32, i32) = (5, 480);

/// What is to be built.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) service: &'a Service,
    pub(super) source: &'a ServiceSource,
    pub(super) repository: &'a Repository,
    pub(super) commit: &'a CommitId,
    /// The secret whose values builds may read.
    pub(super) secret: Option<&'a str>,
    /// The bucket and the name under which rendered manifests are handed over.
    pub(super) handover: (&'a str, &'a str),
}

/// What CodeBuild is given.
pub(super) struct Recipe<'a> {
    pub(super) image: &'a ImageName,
    /// The time limit.
    pub(super) minutes: i32,
    /// It renders manifests, and hands them over.
    pub(super) renders: bool,
    /// Variables, each with the place of its value in Secrets Manager.
    pub(super) secrets: Vec<(String, String)>,
    phases: [Vec<String>; 4],
}

impl<'a> Job<'a> {
    /// How it is built; an error is what keeps CodeBuild from it.
    pub(super) fn recipe(self, region: &str) -> Result<Recipe<'a>, String> {
        let image = &self.service.image;
        let ecr = place(image).filter(|place| place.region == region).ok_or_else(|| {
            let form = format!("<account>.dkr.ecr.{region}.amazonaws.com/<repository>");
            format!("the image {image} does not lie in ECR of {region}; write `image` as {form}")
        })?;
        let url =
            self.repository.url.as_deref().filter(|url| url.starts_with("https://")).ok_or_else(|| {
                let name = &self.repository.name;
                format!("CodeBuild clones over https alone; write `url` of {name} as https://…")
            })?;
        let minutes = self.source.timeout_ms.div_ceil(60_000);
        let minutes = i32::try_from(minutes).unwrap_or(MINUTES.1).clamp(MINUTES.0, MINUTES.1);
        Ok(Recipe {
            image,
            minutes,
            renders: self.source.manifests.is_some(),
            secrets: self.secrets()?,
            phases: [
                self.fetch(url, &login(image, ecr.region)),
                self.command("prepare", self.source.prepare.as_deref()),
                [self.command("test", self.source.test.as_deref()), self.render()].concat(),
                self.pack(),
            ],
        })
    }

    /// The variables that Secrets Manager fills: the token of the forge, and what RUN may mount.
    fn secrets(self) -> Result<Vec<(String, String)>, String> {
        let token = self.repository.forge.as_ref().and_then(|forge| forge.token.as_ref());
        let token = token.map(|name| (GIT_TOKEN.to_owned(), name));
        let mounted = self.source.secrets.iter().enumerate().map(|(place, name)| (mounted(place), name));
        let needed = token.into_iter().chain(mounted);
        let value = |(variable, name): (String, &String)| {
            let secret = self.secret.ok_or_else(|| {
                format!("the build needs the secret {name:?}; name the secret that builds may read in LONGSHORE_BUILD_SECRET")
            })?;
            Ok((variable, format!("{secret}:{name}")))
        };
        needed.map(value).collect()
    }

    /// Fetches the commit, unless its image is there, and its manifests where it has some.
    fn fetch(self, url: &str, login: &str) -> Vec<String> {
        let (image, commit) = (&self.service.image, self.commit);
        let git = format!("git -C {SOURCE}");
        let credentials = self.credentials(url);
        let rendered = self.source.manifests.as_ref().map_or_else(String::new, |_| {
            let (bucket, name) = self.handover;
            format!(
                " && aws s3api head-object --bucket {} --key {} >/dev/null 2>&1",
                word(bucket),
                word(name)
            )
        });
        let unless_there = format!(
            "if docker buildx imagetools inspect {image}:{commit} >/dev/null 2>&1{rendered}; then LONGSHORE_DONE=yes; \
             echo 'longshore: the image is there'; fi"
        );
        vec![
            login.to_owned(),
            unless_there,
            "LONGSHORE_SRC=$(mktemp -d)/src".to_owned(),
            format!("git init --quiet {SOURCE}"),
            format!("{git}{credentials} fetch --quiet --depth 1 {} {commit}", word(url)),
            format!("{git} checkout --quiet --detach FETCH_HEAD"),
            format!("unset {GIT_TOKEN}"),
            format!("SOURCE_DATE_EPOCH=$({git} log -1 --format=%ct)"),
            self.inside(),
        ]
    }

    /// The token goes to the forge's host alone, and stands in no command.
    fn credentials(self, url: &str) -> String {
        let Some(forge) = self.repository.forge.as_ref().filter(|forge| forge.token.is_some()) else {
            return String::new();
        };
        let user = match forge.kind {
            ForgeKind::Github => "x-access-token",
            ForgeKind::Gitlab => "oauth2",
        };
        let host = url.split('/').nth(2).unwrap_or_default();
        let helper = format!("!f() {{ printf 'username={user}\\npassword=%s\\n' \"${GIT_TOKEN}\"; }}; f");
        format!(" -c {}", word(&format!("credential.https://{host}.helper={helper}")))
    }

    /// Fails when the folder that is built is none, or a link leads out of the commit.
    fn inside(self) -> String {
        let missing = format!("longshore: the commit has no folder {:?} of its own", self.source.path);
        format!(
            "case \"$(realpath -e {})/\" in {SOURCE}/*) ;; *) echo {} >&2; false ;; esac",
            self.context(),
            word(&missing)
        )
    }

    fn context(self) -> String {
        match self.source.path.as_str() {
            "" => SOURCE.to_owned(),
            path => format!("{SOURCE}/{}", word(path)),
        }
    }

    /// One of the service's own commands, which sees what it sees on one machine, and no secret.
    fn command(self, name: &str, words: Option<&[String]>) -> Vec<String> {
        let Some(words) = words else { return vec![format!("echo 'longshore: no {name}'")] };
        let words: Vec<_> = words.iter().map(|one| word(one)).collect();
        let (service, commit) = (&self.service.name, self.commit);
        let environment = format!(
            "PATH=\"$PATH\" HOME=\"$HOME\" LONGSHORE_SERVICE={service} LONGSHORE_COMMIT={commit} \
             SOURCE_DATE_EPOCH=\"$SOURCE_DATE_EPOCH\""
        );
        let run = format!("cd {} && env -i {environment} {}", self.context(), words.join(" "));
        vec![format!("test -n \"$LONGSHORE_DONE\" || ( {run} )")]
    }

    /// Renders the manifests, and hands them over before the image is pushed: where there is an image, they are there.
    fn render(self) -> Vec<String> {
        let Some(manifests) = &self.source.manifests else { return Vec::new() };
        let unless_there = "test -n \"$LONGSHORE_DONE\" ||";
        let command = manifests.command(&self.service.name);
        let module = match command[0].as_str() {
            "helm" => Some(HELM),
            "kustomize" => Some(KUSTOMIZE),
            _ => None,
        };
        let bring = module.map(|module| {
            let program = &command[0];
            format!(
                "{unless_there} command -v {program} >/dev/null || GOBIN=/usr/local/bin go install {module}"
            )
        });
        let words: Vec<_> = command.iter().map(|one| word(one)).collect();
        // Nothing that an image of CodeBuild may have set up: neither plugins nor repositories.
        let home = "HOME=\"$LONGSHORE_SRC.home\" XDG_CONFIG_HOME=\"$LONGSHORE_SRC.home\"";
        let render = format!(
            "cd {SOURCE} && ulimit -f {} && env -i PATH=\"$PATH\" {home} {} > {RENDERED}",
            MAX_MANIFESTS / 1024 + 1,
            words.join(" ")
        );
        let check = format!(
            "test \"$(stat -c %s {RENDERED})\" -le {MAX_MANIFESTS} && grep -q -e '^kind:' -e '{{' {RENDERED} || \
             {{ echo 'longshore: there is no manifest in what was rendered, or more than {MAX_MANIFESTS} bytes' >&2; false; }}"
        );
        let (bucket, name) = self.handover;
        let place = format!("s3://{bucket}/{name}");
        let hand_over = format!("aws s3 cp --only-show-errors {RENDERED} {}", word(&place));
        let rest = [format!("( {render} )"), format!("{{ {check}; }}"), hand_over];
        bring.into_iter().chain(rest.map(|one| format!("{unless_there} {one}"))).collect()
    }

    fn pack(self) -> Vec<String> {
        let (image, commit) = (&self.service.image, self.commit);
        let mut build = format!(
            "docker buildx build --builder longshore --provenance=false --file {} \
             --output type=image,name={image}:{commit},push=true,rewrite-timestamp=true \
             --cache-from type=registry,ref={image}:{CACHE} \
             --cache-to type=registry,ref={image}:{CACHE},mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true",
            format_args!("{}/{}", self.context(), word(&self.source.dockerfile))
        );
        build.push_str(" --build-arg SOURCE_DATE_EPOCH=\"$SOURCE_DATE_EPOCH\"");
        for (name, value) in &self.source.args {
            let _ = write!(build, " --build-arg {}", word(&format!("{name}={value}")));
        }
        for (place, name) in self.source.secrets.iter().enumerate() {
            let _ = write!(build, " --secret {}", word(&format!("id={name},env={}", mounted(place))));
        }
        let _ = write!(build, " {}", self.context());
        let unless_there = "test -n \"$LONGSHORE_DONE\" ||";
        vec![
            format!(
                "{unless_there} docker buildx create --name longshore --driver docker-container --bootstrap"
            ),
            format!("{unless_there} {build}"),
        ]
    }
}

impl Recipe<'_> {
    /// The buildspec's text.
    pub(super) fn buildspec(&self) -> String {
        let names = ["install", "pre_build", "build", "post_build"];
        let phase = |commands: &Vec<String>| json!({ "on-failure": "ABORT", "commands": commands });
        let phases: serde_json::Map<String, Value> = names
            .iter()
            .zip(&self.phases)
            .map(|(name, phase_of)| ((*name).to_owned(), phase(phase_of)))
            .collect();
        let spec = json!({ "version": 0.2, "env": { "shell": "bash" }, "phases": phases });
        format!("{spec:#}\n")
    }
}

fn login(image: &ImageName, region: &str) -> String {
    let host = image.as_str().split('/').next().unwrap_or_default();
    format!(
        "set -o pipefail; aws ecr get-login-password --region {region} | \
         docker login --username AWS --password-stdin {host}"
    )
}

/// The variable of the service's secret at this place.
fn mounted(place: usize) -> String {
    format!("LONGSHORE_SECRET_{place}")
}

/// A text as one word of the shell.
fn word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
#[path = "buildspec_tests.rs"]
mod tests;
