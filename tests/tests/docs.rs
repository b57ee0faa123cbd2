//! `docs/errors.md` has a heading for every code that the sources say, and for no other.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_error_code_has_its_heading_and_every_heading_its_code() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/errors.md"))?;
    let headings: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).map(ToOwned::to_owned).collect();
    let mut codes: BTreeSet<String> = longshore_policy::Code::ALL.iter().map(ToString::to_string).collect();
    for folder in ["cli/src", "functions", "shared"] {
        collect(&root.join(folder), &mut codes)?;
    }
    assert_eq!(codes.symmetric_difference(&headings).collect::<Vec<_>>(), Vec::<&String>::new());
    Ok(())
}

/// The codes in the sources below a folder, tests left out.
fn collect(folder: &Path, codes: &mut BTreeSet<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.contains("tests") && name != "target" {
            collect(&path, codes)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && !name.contains("tests") {
            let text = std::fs::read_to_string(&path)?;
            let starts = text.match_indices("LS0").map(|(at, _)| at);
            codes.extend(
                starts.filter_map(|at| text.get(at..at + 6)).filter(|code| is_code(code)).map(Into::into),
            );
        }
    }
    Ok(())
}

fn is_code(text: &str) -> bool {
    text.bytes().skip(2).all(|byte| byte.is_ascii_digit())
}
