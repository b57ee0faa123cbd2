//! What an order must be, whatever came before it.

use longshore_ports::{Desired, ProbeTarget};

/// What is wrong with an order in itself, if anything.
pub(super) fn check(order: &Desired) -> Result<(), String> {
    let releases = &order.releases;
    let twice =
        releases.iter().find(|one| releases.iter().filter(|other| other.release == one.release).count() > 1);
    if let Some(twice) = twice {
        return Err(format!("release {} is named twice", twice.release));
    }
    let total: u32 = releases.iter().map(|release| u32::from(release.weight)).sum();
    if !releases.is_empty() && total != 100 {
        return Err(format!("the weights make {total} percent, not 100"));
    }
    for run in releases.iter().map(|release| &release.run) {
        if let Some(name) =
            run.env.iter().find(|(name, value)| !is_variable(name, value)).map(|(name, _)| name)
        {
            return Err(format!("{name:?} is no environment variable that a program can have"));
        }
        if run.args.iter().flatten().any(|arg| arg.contains('\0')) {
            return Err("an argument contains a zero byte".to_owned());
        }
        for health in [Some(&run.ready), run.health.as_ref()].into_iter().flatten() {
            match &health.target {
                ProbeTarget::Http(path) if !is_path(path) => {
                    return Err(format!(
                        "{path:?} is no path of a probe: it starts with '/', without spaces"
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// A shell starts the program, and passes on only names that it could have set itself.
fn is_variable(name: &str, value: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let digit = name.bytes().next().is_none_or(|byte| byte.is_ascii_digit());
    !digit && name.bytes().all(word) && !value.contains('\0')
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{desired, release};

    #[test]
    fn orders_that_cannot_be_meant_are_refused() {
        let fault = |releases| check(&desired(1, 0, releases)).unwrap_err();
        assert_eq!(fault(vec![release(1, 'a', 50), release(1, 'b', 50)]), "release 1 is named twice");
        assert_eq!(fault(vec![release(1, 'a', 90)]), "the weights make 90 percent, not 100");
        let mut odd = release(1, 'a', 100);
        odd.run.env.insert("A B".into(), "c".into());
        assert!(fault(vec![odd]).starts_with("\"A B\" is no environment variable"));
        let mut odd = release(1, 'a', 100);
        odd.run.ready.target = ProbeTarget::Http("/a HTTP/1.1\r\n".into());
        assert!(fault(vec![odd]).contains("is no path of a probe"));
        assert_eq!(check(&desired(1, 0, vec![])), Ok(()));
    }
}
