//! Secrets in a folder: a file for each name, one valid value a line, the newest first. Or from the environment.
//!
//! A file that others can read is refused, so that a slip is seen at once and not after the leak. No error ever holds
//! a value.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use longshore_ports::{ErrorKind, PortError, Secret, Secrets};

use crate::write::{remove_asides, write_whole};

/// What the environment variable of a secret begins with.
pub(crate) const VARIABLE_PREFIX: &str = "LONGSHORE_SECRET_";

/// Secrets in a folder, with those of the environment before them.
pub struct FileSecrets {
    folder: PathBuf,
    environment: BTreeMap<String, String>,
}

impl FileSecrets {
    /// Opens the folder, or makes it for this user alone. Of `environment`, variables named `LONGSHORE_SECRET_<NAME>`
    /// take the place of the file of that name (upper case, and `_` for what is neither letter nor digit).
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(folder: &Path, environment: impl IntoIterator<Item = (String, String)>) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        remove_asides(folder)?;
        let secret = |(name, _): &(String, String)| name.starts_with(VARIABLE_PREFIX);
        Ok(Self { folder: folder.to_owned(), environment: environment.into_iter().filter(secret).collect() })
    }

    /// Makes `value` the only valid one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the name or the value cannot be stored.
    pub fn set(&self, name: &str, value: &Secret) -> Result<(), PortError> {
        self.write(name, std::slice::from_ref(value))
    }

    /// Makes `value` the newest one; the one that was the newest stays valid beside it, older ones do not.
    ///
    /// # Errors
    /// As [`FileSecrets::set`].
    pub fn rotate(&self, name: &str, value: &Secret) -> Result<(), PortError> {
        let old = match self.read(name) {
            Err(error) if error.kind == ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let values: Vec<Secret> = [value.clone()].into_iter().chain(old.into_iter().take(1)).collect();
        self.write(name, &values)
    }

    /// The newest value of a secret; a new random one when there is none yet.
    ///
    /// # Errors
    /// When it can be neither read nor made.
    pub fn ensure(&self, name: &str) -> Result<Secret, PortError> {
        match self.values(name) {
            Err(error) if error.kind == ErrorKind::NotFound => {
                let value = random().map_err(|error| PortError::unavailable(operation(name), error))?;
                self.set(name, &value)?;
                Ok(value)
            }
            Ok(values) => values.into_iter().next().ok_or_else(|| missing(name, &self.folder)),
            Err(error) => Err(error),
        }
    }

    fn values(&self, name: &str) -> Result<Vec<Secret>, PortError> {
        check_name(name)?;
        match self.environment.get(&variable(name)) {
            Some(value) => Ok(lines(value.as_bytes())),
            None => self.read(name),
        }
    }

    fn read(&self, name: &str) -> Result<Vec<Secret>, PortError> {
        check_name(name)?;
        let path = self.folder.join(name);
        let content = match read_private(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(name, &self.folder)),
            Err(error) => return Err(PortError::unavailable(operation(name), error)),
            Ok(Err(mode)) => {
                let reason =
                    format!("others can read {} (mode {mode:o}); run: chmod 600 {0}", path.display());
                return Err(PortError::new(ErrorKind::Denied, operation(name), reason));
            }
            Ok(Ok(content)) => content,
        };
        match lines(&content) {
            values if values.is_empty() => Err(missing(name, &self.folder)),
            values => Ok(values),
        }
    }

    fn write(&self, name: &str, values: &[Secret]) -> Result<(), PortError> {
        check_name(name)?;
        let mut content = Vec::new();
        for value in values {
            let bytes = value.expose();
            if bytes.is_empty() || bytes.contains(&b'\n') || bytes.trim_ascii() != bytes {
                let reason = "the value is empty, has several lines, or begins or ends with white space";
                return Err(PortError::invalid(operation(name), reason));
            }
            content.extend_from_slice(bytes);
            content.push(b'\n');
        }
        write_whole(&self.folder.join(name), &content, 0o600)
            .map_err(|error| PortError::unavailable(operation(name), error))
    }
}

#[async_trait]
impl Secrets for FileSecrets {
    async fn get(&self, name: &str) -> Result<Vec<Secret>, PortError> {
        self.values(name)
    }
}

fn operation(name: &str) -> String {
    format!("secret {name:?}")
}

fn missing(name: &str, folder: &Path) -> PortError {
    let reason = format!(
        "there is none; put it in {} (mode 600) or in {}",
        folder.join(name).display(),
        variable(name)
    );
    PortError::new(ErrorKind::NotFound, operation(name), reason)
}

/// A name becomes a file's name, so it may hold nothing that leads elsewhere.
fn check_name(name: &str) -> Result<(), PortError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if (1..=100).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(fits) {
        return Ok(());
    }
    let name: String = name.chars().take(80).collect();
    let rule = "a name is 1 to 100 letters, digits, '.', '_' and '-', and does not begin with '.'";
    Err(PortError::invalid(operation(&name), rule))
}

fn variable(name: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    VARIABLE_PREFIX.chars().chain(name.chars().map(upper)).collect()
}

fn lines(content: &[u8]) -> Vec<Secret> {
    let lines = content.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).map(Secret::new).collect()
}

/// The content, or the mode when it lets others read. The mode is the opened file's, so that none can be put in its
/// place between the two.
fn read_private(path: &Path) -> io::Result<Result<Vec<u8>, u32>> {
    let mut file = File::open(path)?;
    let meta = file.metadata()?;
    if meta.permissions().mode() & 0o077 != 0 {
        return Ok(Err(meta.mode() & 0o777));
    }
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(Ok(content))
}

/// 256 random bits from the kernel, in hexadecimal.
fn random() -> io::Result<Secret> {
    let mut bytes = [0_u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut text = String::with_capacity(64);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn exposed(secrets: &[Secret]) -> Vec<String> {
        secrets.iter().map(|secret| String::from_utf8(secret.expose().to_vec()).unwrap()).collect()
    }

    #[tokio::test]
    async fn files_keep_the_contract_of_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let stores = std::sync::atomic::AtomicU32::new(0);
        longshore_ports::suite::secrets::run(async |known| {
            let number = stores.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let secrets = FileSecrets::open(&folder.path().join(number.to_string()), []).unwrap();
            for (name, values) in known {
                let values: Vec<_> = values.iter().map(|value| Secret::new(*value)).collect();
                secrets.write(name, &values).unwrap();
            }
            secrets
        })
        .await;
    }

    #[tokio::test]
    async fn the_environment_keeps_the_contract_of_secrets() {
        let folder = tempfile::tempdir().unwrap();
        longshore_ports::suite::secrets::run(async |known| {
            let variables = known.iter().map(|(name, values)| (variable(name), values.join("\n")));
            FileSecrets::open(folder.path(), variables.collect::<Vec<_>>()).unwrap()
        })
        .await;
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_without_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = FileSecrets::open(folder.path(), []).unwrap();
        secrets.set("hook", &Secret::new("planted-value")).unwrap();
        let path = folder.path().join("hook");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            for error in [secrets.values("hook").unwrap_err(), secrets.ensure("hook").unwrap_err()] {
                assert_eq!(error.kind, ErrorKind::Denied);
                assert!(error.to_string().contains("chmod 600"), "{error}");
                assert!(!format!("{error} {error:?}").contains("planted-value"));
            }
        }
    }

    #[test]
    fn a_value_that_cannot_be_stored_is_not_in_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = FileSecrets::open(folder.path(), []).unwrap();
        for value in ["planted\nvalue", " planted", ""] {
            let error = secrets.set("hook", &Secret::new(value)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(!format!("{error} {error:?}").contains("planted"));
        }
    }

    #[test]
    fn rotating_keeps_the_value_before_valid_and_no_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = FileSecrets::open(folder.path(), []).unwrap();
        for value in ["first", "second", "third"] {
            secrets.rotate("hook", &Secret::new(value)).unwrap();
        }
        assert_eq!(exposed(&secrets.values("hook").unwrap()), ["third", "second"]);
    }

    #[test]
    fn a_secret_that_is_not_there_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = FileSecrets::open(folder.path(), []).unwrap();
        let made = secrets.ensure("hook").unwrap();
        assert_eq!(made.expose().len(), 64);
        assert!(secrets.ensure("hook").unwrap() == made);
        assert!(secrets.ensure("other").unwrap() != made);
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = FileSecrets::open(&folder.path().join("secrets"), []).unwrap();
        fs::write(folder.path().join("outside"), "value").unwrap();
        for name in ["../outside", "/etc/passwd", ".hidden", "a/b", "a\nb", ""] {
            assert_eq!(secrets.values(name).unwrap_err().kind, ErrorKind::Invalid, "{name:?}");
            assert_eq!(
                secrets.set(name, &Secret::new("v")).unwrap_err().kind,
                ErrorKind::Invalid,
                "{name:?}"
            );
        }
    }
}
