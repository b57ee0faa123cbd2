//! Checks who may sign images: keys inline or in files, for which services, and where.

use longshore_events::ServiceName;

use crate::check::Names;
use crate::fault::{Code, Faults, Wrong};
use crate::policy::{Environment, Service, Signer};
use crate::read::Keys;
use crate::suggest::quoted;
use crate::{keys, rules};

/// Reads a file that the configuration names, or says why that cannot be.
pub(crate) type Read<'a> = dyn Fn(&str) -> Result<String, String> + 'a;

/// Who may sign. Notes environments that require signatures which nobody may give.
pub(crate) fn signers<'a>(
    root: &Keys<'a>,
    (services, of_services): (&[Service], &Names<'_>),
    (tables, environments): (&[Keys<'_>], &[Environment]),
    read: &Read<'_>,
    faults: &'a Faults<'a>,
) -> Vec<Signer> {
    let mut names = Names::new("signer", faults);
    let mut places = Names::new("environment", faults);
    for environment in environments {
        places.know(environment.name.as_str());
    }
    let signer = |keys: &Keys<'a>| {
        names.define(keys.text("name"));
        let (name, key) = (keys.parsed("name", rules::line), key(keys, read));
        let services = listed(keys, "services", of_services, services.iter().map(|service| &service.name));
        let places = listed(keys, "environments", &places, environments.iter().map(|place| &place.name));
        Some(Signer { name: name?, key: key?, services: services?, environments: places? })
    };
    let all: Vec<Option<Signer>> = root.tables("signer").iter().map(signer).collect();
    // A signer with a fault may be the one that is missing: one slip is not reported twice.
    let is_whole = all.iter().all(Option::is_some);
    let signers: Vec<Signer> = all.into_iter().flatten().collect();
    if is_whole {
        note_unsigned(tables, environments, &signers);
    }
    signers
}

/// Those of `all` that are listed at `name`.
fn listed<'a, T: Clone + AsRef<str> + 'a>(
    keys: &Keys<'_>,
    name: &str,
    known: &Names<'_>,
    all: impl Iterator<Item = &'a T>,
) -> Option<Vec<T>> {
    let listed = keys.texts(name)?;
    listed.iter().filter(|text| text.value != "*").for_each(|text| _ = known.resolve(text));
    let is = |one: &&T| listed.iter().any(|text| text.value == "*" || text.value == (*one).as_ref());
    Some(all.filter(is).cloned().collect())
}

fn key(table: &Keys<'_>, read: &Read<'_>) -> Option<crate::SigningKey> {
    match (table.has("key"), table.has("file")) {
        (true, false) => table.parsed("key", keys::public),
        (false, true) => table.parsed("file", |path| {
            let path = rules::folder(path)?;
            let cannot =
                |why| Wrong::new(Code::InvalidKey, format!("cannot read the key {}: {why}", quoted(&path)));
            keys::public(&read(&path).map_err(cannot)?)
        }),
        (both, _) => {
            let said = if both {
                "both as `key` and as `file`: take one out"
            } else {
                "nowhere: add `key`, or `file`"
            };
            let at = if both { "file" } else { "name" };
            table.note(at, Wrong::new(Code::InvalidSigner, format!("the signer's key is {said}")));
            None
        }
    }
}

fn note_unsigned(tables: &[Keys<'_>], environments: &[Environment], signers: &[Signer]) {
    for environment in environments.iter().filter(|environment| environment.gate.signature) {
        let may =
            |service: &ServiceName| signers.iter().any(|signer| signer.may_sign(&environment.name, service));
        let named =
            |keys: &&Keys<'_>| keys.text("name").is_some_and(|name| name.value == environment.name.as_str());
        let Some(keys) = tables.iter().find(named) else { continue };
        for service in environment.services.iter().filter(|service| !may(service)) {
            let message = format!(
                "{} requires signatures, and no [[signer]] may sign {service} there: add one",
                environment.name
            );
            keys.note("gate", Wrong::new(Code::InvalidSigner, message));
        }
    }
}
