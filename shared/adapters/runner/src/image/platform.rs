//! What an image's entrypoint is on this machine, or why it cannot run here.
//!
//! The runner does not isolate: the program runs on this machine's kernel and sees this machine's files. Paths of the
//! image are resolved inside its root, as a container would see them, before they become paths of this machine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use longshore_oci::image::{Config as ImageConfig, Platform};
use longshore_ports::RunSpec;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::program;
use crate::image::Unpacked;

/// Where programs are looked for when the image does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where what does not fit this machine can run.
pub(crate) const ELSEWHERE: &str = "`--cluster kube:<context>` runs it in a cluster instead";

/// Why an image cannot run as a process of this machine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// It is for another operating system or processor.
    #[error("the image is for {image}, and this machine is {machine}")]
    Platform {
        /// The image's.
        image: String,
        /// This machine's.
        machine: String,
    },
    /// It names no program.
    #[error("the image has neither an ENTRYPOINT nor a CMD")]
    NoEntrypoint,
    /// The program is not in the image.
    #[error("{0} is not in the image")]
    Missing(String),
    /// The program cannot be executed.
    #[error("{0} in the image is not an executable file")]
    NotExecutable(String),
    /// The program needs a loader or an interpreter that this machine lacks.
    #[error("{program} needs {loader}, which this machine does not have")]
    Loader {
        /// The program.
        program: String,
        /// What loads it.
        loader: String,
    },
    /// The program is for another processor.
    #[error("{0} is a program for another processor")]
    Machine(String),
    /// The image's files cannot be read.
    #[error("cannot look at {path} in the image: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why not.
        source: io::Error,
    },
}

impl Unfit {
    /// The reason, and where it can run where this machine is what does not fit.
    pub(crate) fn advice(&self) -> String {
        match self {
            Self::Platform { .. } | Self::Loader { .. } | Self::Machine(_) => {
                format!("{self}; {ELSEWHERE}")
            }
            _ => self.to_string(),
        }
    }
}

/// What is executed, before a port is given to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The program, as a path of this machine.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// The environment that image and order ask for.
    pub(crate) env: BTreeMap<String, String>,
    /// Its working folder, as a path of this machine.
    pub(crate) folder: PathBuf,
}

/// Finds out what to execute.
pub(crate) fn resolve(image: &Unpacked, run: &RunSpec) -> Result<Entry, Unfit> {
    check_platform(&image.config)?;
    let config = &image.config.config;
    let command = config
        .entrypoint
        .iter()
        .flatten()
        .chain(run.args.as_ref().or(config.cmd.as_ref()).into_iter().flatten());
    let mut words = command.cloned();
    let name = words.next().filter(|name| !name.is_empty()).ok_or(Unfit::NoEntrypoint)?;
    let root = Root::open(&image.rootfs)?;
    let mut env = environment(&config.env);
    let path = env.entry("PATH".into()).or_insert_with(|| PATH.into()).clone();
    let work = Path::new("/").join(&config.working_dir);
    let program = root.program(&name, &work, &path)?;
    program::check(&name, &program)?;
    env.extend(run.env.clone());
    Ok(Entry { program, args: words.collect(), env, folder: root.folder(&work)? })
}

fn check_platform(config: &ImageConfig) -> Result<(), Unfit> {
    let machine = Platform::of_this_host();
    let image = Platform {
        os: config.os.clone(),
        architecture: config.architecture.clone(),
        variant: config.variant.clone(),
    };
    if image.runs_on(&machine) {
        return Ok(());
    }
    Err(Unfit::Platform { image: image.to_string(), machine: machine.to_string() })
}

fn environment(pairs: &[String]) -> BTreeMap<String, String> {
    pairs.iter().filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// The root of an image's files.
struct Root(File);

impl Root {
    fn open(path: &Path) -> Result<Self, Unfit> {
        File::open(path).map(Self).map_err(|source| Unfit::Io { path: "/".into(), source })
    }

    /// Where a path of the image lies on this machine; links are followed inside the image.
    fn locate(&self, path: &Path) -> Result<Option<PathBuf>, Unfit> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let failed = |source: io::Error| Unfit::Io { path: path.display().to_string(), source };
        match openat2(&self.0, path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            Ok(found) => {
                fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd())).map(Some).map_err(failed)
            }
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// A program by its path, or by its name on the image's `PATH`.
    fn program(&self, name: &str, work: &Path, path: &str) -> Result<PathBuf, Unfit> {
        if name.contains('/') {
            let found = self.locate(&work.join(name))?.ok_or_else(|| Unfit::Missing(name.to_owned()))?;
            return if is_executable(&found) {
                Ok(found)
            } else {
                Err(Unfit::NotExecutable(name.to_owned()))
            };
        }
        for folder in path.split(':').filter(|folder| !folder.is_empty()) {
            if let Some(found) = self.locate(&work.join(folder).join(name))?
                && is_executable(&found)
            {
                return Ok(found);
            }
        }
        Err(Unfit::Missing(name.to_owned()))
    }

    fn folder(&self, path: &Path) -> Result<PathBuf, Unfit> {
        let found = self.locate(path)?.filter(|found| found.is_dir());
        found.ok_or_else(|| Unfit::Missing(format!("the working directory {}", path.display())))
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use longshore_oci::image::RunConfig;

    use super::*;
    use crate::testing::release;

    fn image(folder: &Path, config: RunConfig) -> Unpacked {
        let rootfs = folder.join("rootfs");
        fs::create_dir_all(rootfs.join("opt/bin")).unwrap();
        fs::copy("/proc/self/exe", rootfs.join("opt/bin/app")).unwrap();
        fs::write(rootfs.join("opt/notes"), "text").unwrap();
        symlink("/opt/bin/app", rootfs.join("start")).unwrap();
        let machine = Platform::of_this_host();
        let (os, architecture) = (machine.os, machine.architecture);
        Unpacked { rootfs, config: ImageConfig { os, architecture, config, ..ImageConfig::default() } }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    fn fault(config: RunConfig) -> String {
        let folder = tempfile::tempdir().unwrap();
        resolve(&image(folder.path(), config), &release(1, 'a', 0).run).unwrap_err().to_string()
    }

    #[test]
    fn an_absolute_link_of_the_image_stays_inside_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = RunConfig {
            entrypoint: Some(words(&["/start", "-v"])),
            cmd: Some(words(&["a"])),
            ..RunConfig::default()
        };
        let unpacked = image(folder.path(), config);
        let mut run = release(1, 'a', 0).run;
        let entry = resolve(&unpacked, &run).unwrap();
        assert_eq!(entry.program, unpacked.rootfs.canonicalize().unwrap().join("opt/bin/app"));
        assert_eq!(entry.args, ["-v", "a"]);
        run.args = Some(words(&["b", "c"]));
        assert_eq!(resolve(&unpacked, &run).unwrap().args, ["-v", "b", "c"]);
    }

    #[test]
    fn a_bare_name_is_found_on_the_path_of_the_image_and_the_order_sets_the_environment_last() {
        let folder = tempfile::tempdir().unwrap();
        let env = vec!["PATH=/bin:/opt/bin".to_owned(), "A=image".to_owned(), "B=image".to_owned()];
        let config =
            RunConfig { cmd: Some(words(&["app"])), env, working_dir: "/opt".into(), ..RunConfig::default() };
        let unpacked = image(folder.path(), config);
        let mut run = release(1, 'a', 0).run;
        run.env.insert("A".into(), "order".into());
        let entry = resolve(&unpacked, &run).unwrap();
        assert!(entry.program.ends_with("rootfs/opt/bin/app"));
        assert!(entry.folder.ends_with("rootfs/opt"));
        assert_eq!((entry.env["A"].as_str(), entry.env["B"].as_str()), ("order", "image"));
    }

    #[test]
    fn what_cannot_run_is_refused_by_name() {
        let entry = |word: &str| RunConfig { entrypoint: Some(words(&[word])), ..RunConfig::default() };
        assert_eq!(fault(RunConfig::default()), "the image has neither an ENTRYPOINT nor a CMD");
        assert_eq!(fault(entry("/bin/sh")), "/bin/sh is not in the image");
        assert_eq!(fault(entry("../../../bin/sh")), "../../../bin/sh is not in the image");
        assert_eq!(fault(entry("/opt/notes")), "/opt/notes in the image is not an executable file");
        let gone = RunConfig { working_dir: "/gone".into(), ..entry("/start") };
        assert_eq!(fault(gone), "the working directory /gone is not in the image");
    }

    #[test]
    fn another_platform_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut unpacked = image(folder.path(), RunConfig::default());
        unpacked.config.architecture = "s390x".into();
        let fault = resolve(&unpacked, &release(1, 'a', 0).run).unwrap_err().advice();
        assert!(fault.starts_with("the image is for linux/s390x, and this machine is linux/"), "{fault}");
        assert!(fault.ends_with("`--cluster kube:<context>` runs it in a cluster instead"), "{fault}");
    }
}
