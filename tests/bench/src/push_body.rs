//! A push as GitHub sends it, padded with commits to about 8 KB.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// Pushes go to so many repositories by turns: events of one repository are noted one after another.
pub(crate) const REPOSITORIES: u64 = 16;
/// The secret that both sides know.
pub(crate) const SECRET: &str = "a secret of the measurements, known to both sides";
const SIZE: usize = 8 << 10;

/// The repository of push `number`.
pub(crate) fn repository(number: u64) -> String {
    format!("acme/shop-{}", number % REPOSITORIES)
}

/// A commit's id. As real ones it says nothing of its neighbours, so that an index is written all over.
pub(crate) fn commit_id(number: u64) -> String {
    format!("{:016x}{:016x}{:08x}", scattered(number), scattered(!number), scattered(number) >> 32)
}

/// An id of a delivery.
pub(crate) fn delivery_id(number: u64) -> String {
    let id = format!("{:016x}{:016x}", scattered(number), number);
    format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
}

/// Splitmix64: numbers in a row come out far apart, and no two alike.
fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The body of push `number` to one of a few branches that nothing is built from.
pub(crate) fn body(number: u64) -> Vec<u8> {
    let mut commits: Vec<Value> = Vec::new();
    loop {
        let body = with_commits(number, &commits).to_string();
        if body.len() >= SIZE {
            return body.into_bytes();
        }
        commits.push(commit(number, commits.len()));
    }
}

fn commit(number: u64, index: usize) -> Value {
    json!({
        "id": commit_id(number * 1_000 + index as u64), "tree_id": commit_id(number), "distinct": true,
        "message": format!("change {index} of push {number}: say what was wrong, and what is better now"),
        "timestamp": "2026-11-24T10:00:00Z", "url": format!("https://github.com/{}/commit/{number}", repository(number)),
        "author": { "name": "Ada", "email": "ada@example.com", "username": "ada" },
        "committer": { "name": "GitHub", "email": "noreply@github.com", "username": "web-flow" },
        "added": [], "removed": [],
        "modified": [format!("services/shop/src/part{}.rs", index % 4), "services/shop/Cargo.toml"],
    })
}

fn with_commits(number: u64, commits: &[Value]) -> Value {
    let (after, repository) = (commit_id(number + 1), repository(number));
    json!({
        "ref": format!("refs/heads/feature-{}", number % 7), "before": commit_id(number.max(1)), "after": after,
        "created": false, "deleted": false, "forced": false, "base_ref": null,
        "compare": "https://github.com/acme/shop/compare/a...b", "commits": commits,
        "head_commit": { "id": after, "message": "change" },
        "repository": {
            "id": 1, "name": "shop", "full_name": repository, "private": true, "default_branch": "main",
            "clone_url": format!("https://github.com/{repository}.git"),
        },
        "pusher": { "name": "ada", "email": "ada@example.com" },
        "sender": { "login": "ada", "id": 2, "type": "User" },
    })
}

/// The signature, as `X-Hub-Signature-256` has it.
pub(crate) fn signature(body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()) else { return String::new() };
    mac.update(body);
    mac.finalize().into_bytes().iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_about_8_kb_and_no_two_are_signed_alike() {
        let (one, other) = (body(1), body(2));
        assert!((SIZE..SIZE + 1_000).contains(&one.len()), "{}", one.len());
        assert_ne!(signature(&one), signature(&other));
    }
}
