//! The newtypes: what is valid is accepted and survives, what is not is refused, and nothing panics.

use longshore_events::{
    ChainId, CommitId, Digest, EnvironmentName, EventId, ImageName, ImageRef, InvalidName, RefName,
    RepositoryName, ServiceName,
};
use proptest::prelude::*;

use crate::generate::names::{
    branch, commit_text, digest_text, id_text, image_text, label_text, ref_text, repository_text,
};

/// Tries `text` as each of the names; each that accepts it must give it back.
fn survives_all(text: &str) {
    fn survives<T>(text: &str, parse: impl Fn(String) -> Result<T, InvalidName>)
    where
        T: ToString + serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let json = serde_json::to_string(text).unwrap();
        match parse(text.to_owned()) {
            Ok(name) => {
                assert_eq!(name.to_string(), text);
                assert_eq!(serde_json::to_string(&name).unwrap(), json);
                assert_eq!(serde_json::from_str::<T>(&json).unwrap(), name);
            }
            Err(error) => {
                assert!(error.value.chars().count() <= 80);
                serde_json::from_str::<T>(&json).unwrap_err();
            }
        }
    }
    survives::<Digest>(text, Digest::try_from);
    survives::<CommitId>(text, CommitId::try_from);
    survives::<RefName>(text, RefName::try_from);
    survives::<RepositoryName>(text, RepositoryName::try_from);
    survives::<ServiceName>(text, ServiceName::try_from);
    survives::<EnvironmentName>(text, EnvironmentName::try_from);
    survives::<EventId>(text, EventId::try_from);
    survives::<ChainId>(text, ChainId::try_from);
    survives::<ImageName>(text, ImageName::try_from);
    survives::<ImageRef>(text, ImageRef::try_from);
}

/// A text that is nearly a name of some kind.
fn nearly() -> impl Strategy<Value = String> {
    let valid = prop_oneof![
        digest_text(),
        commit_text(),
        ref_text(),
        repository_text(),
        label_text(),
        image_text(),
        (image_text(), digest_text()).prop_map(|(name, digest)| format!("{name}@{digest}")),
    ];
    (valid, any::<prop::sample::Index>(), prop::option::of(any::<char>())).prop_map(|(text, at, put)| {
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        match put {
            Some(other) => chars[at] = other,
            None => drop(chars.remove(at)),
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn any_text_is_refused_or_survives_without_a_panic(text in any::<String>()) {
        survives_all(&text);
    }

    #[test]
    fn a_text_that_is_nearly_a_name_is_refused_or_survives(text in nearly()) {
        survives_all(&text);
    }

    #[test]
    fn valid_names_are_accepted(
        digest in digest_text(), commit in commit_text(), git_ref in ref_text(), repo in repository_text(),
        label in label_text(), id in id_text(), image in image_text(),
    ) {
        assert_eq!(Digest::new(&digest).unwrap().hex(), &digest[7..]);
        assert_eq!(CommitId::new(&commit).unwrap().short(), &commit[..12]);
        RefName::new(&git_ref).unwrap();
        RepositoryName::new(&repo).unwrap();
        ServiceName::new(&label).unwrap();
        EnvironmentName::new(&label).unwrap();
        EventId::new(&id).unwrap();
        ChainId::new(&id).unwrap();
        let name = ImageName::new(&image).unwrap();
        let whole = format!("{image}@{digest}");
        prop_assert_eq!(ImageRef::try_from(whole.clone()).unwrap(), ImageRef::new(name, Digest::new(digest).unwrap()));
        survives_all(&whole);
    }

    #[test]
    fn a_branch_is_found_again_in_its_ref(branch in branch()) {
        let name = RefName::branch(&branch).unwrap();
        prop_assert_eq!(name.short(), branch);
    }

    #[test]
    fn control_characters_are_refused_at_any_place(
        text in prop_oneof![ref_text(), repository_text(), label_text(), id_text(), image_text()],
        at in any::<prop::sample::Index>(),
        control in prop::char::ranges([('\0'..='\x1f'), ('\x7f'..='\u{9f}')].as_slice().into()),
    ) {
        let chars: Vec<char> = text.chars().collect();
        let (before, after) = chars.split_at(at.index(chars.len() + 1));
        let text: String = before.iter().chain([&control]).chain(after).collect();
        prop_assert!(RefName::new(&text).is_err());
        prop_assert!(RepositoryName::new(&text).is_err());
        prop_assert!(ServiceName::new(&text).is_err());
        prop_assert!(EventId::new(&text).is_err());
        prop_assert!(ImageName::new(&text).is_err());
    }

    #[test]
    fn a_step_up_is_refused_at_any_place(repo in repository_text(), git_ref in ref_text(), image in image_text()) {
        for up in ["..", "../etc", "a/../b"] {
            for text in [format!("{repo}/{up}"), format!("{up}/{repo}")] {
                assert!(RepositoryName::new(&text).is_err(), "{text}");
            }
            assert!(RefName::new(format!("{git_ref}/{up}")).is_err());
            assert!(ImageName::new(format!("{image}/{up}")).is_err());
        }
    }

    #[test]
    fn what_looks_like_an_option_is_refused(word in "[a-z][a-z=/-]{0,12}") {
        for text in [format!("-{word}"), format!("--{word}")] {
            assert!(RefName::new(&text).is_err());
            assert!(RefName::branch(&text).is_err());
            assert!(RefName::branch(&format!("feature/{text}")).is_err());
            assert!(RepositoryName::new(&text).is_err());
            assert!(RepositoryName::new(format!("acme/{text}")).is_err());
            assert!(ServiceName::new(&text).is_err());
            assert!(ImageName::new(&text).is_err());
        }
    }
}

#[test]
fn refs_follow_check_ref_format() {
    for valid in
        ["refs/heads/main", "refs/tags/v1.0", "refs/heads/a/b-c_d", "refs/heads/grün", "refs/heads/a@b"]
    {
        RefName::new(valid).unwrap();
    }
    let invalid = [
        "",
        "refs",
        "refs/",
        "main",
        "/refs/heads/main",
        "refs/heads/",
        "refs/heads//a",
        "refs/heads/.a",
        "refs/heads/a.lock",
        "refs/heads/a.lock/b",
        "refs/heads/a.",
        "refs/heads/a..b",
        "refs/heads/a@{b",
        "refs/heads/a b",
        "refs/heads/a~1",
        "refs/heads/a^",
        "refs/heads/a:b",
        "refs/heads/a?",
        "refs/heads/a*",
        "refs/heads/[a",
        "refs/heads/a\\b",
    ];
    for text in invalid {
        RefName::new(text).expect_err(text);
    }
}

#[test]
fn image_names_follow_the_distribution_specification() {
    let valid = [
        "api",
        "shop/api",
        "127.0.0.1:5000/shop/api",
        "localhost:5000/a",
        "docker.io/library/nginx",
        "a/b__c",
        "a/b---c",
    ];
    for valid in valid {
        ImageName::new(valid).unwrap();
    }
    let invalid = [
        "",
        "/",
        "api:latest",
        "Shop",
        "h:port/a",
        "h:/a",
        "h:123456/a",
        "a//b",
        "a/_b",
        "a/b._c",
        "a/b___c",
        "a/b@c",
        "a/",
    ];
    for text in invalid {
        ImageName::new(text).expect_err(text);
    }
}

#[test]
fn an_error_names_what_was_expected_and_quotes_the_start_only() {
    let error = ServiceName::new("Shop".repeat(1000)).unwrap_err();
    assert_eq!(error.value.len(), 80);
    assert!(error.to_string().contains("is not a valid service name: a DNS label"));
    let error = ImageRef::try_from("x".repeat(1000)).unwrap_err();
    assert_eq!(error.value.len(), 80);
}
