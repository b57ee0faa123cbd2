//! `docs/aws.md`: the commands that can run here do, on a stack on moto; and the configuration that it begins with is right.

use crate::stack::{Stack, output, peer, root};

/// The blocks of a page that are marked to be run.
fn blocks(page: &str) -> Vec<String> {
    let (mut blocks, mut inside) = (Vec::new(), false);
    for line in page.lines().map(str::trim) {
        match line {
            "```sh run" => {
                blocks.push(String::new());
                inside = true;
            }
            "```" => inside = false,
            _ if inside => {
                let block: &mut String = blocks.last_mut().unwrap();
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

#[test]
fn the_commands_of_the_page_on_aws_run() {
    let stack = Stack::deploy();
    let blocks = blocks(&std::fs::read_to_string(root().join("docs/aws.md")).unwrap());
    assert!(blocks.len() >= 3, "{blocks:?}");
    for block in blocks {
        let mut shell = peer("sh", &["-euxc", &block]);
        shell.env("AWS_ENDPOINT_URL", format!("http://{}", stack.moto.address));
        shell.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", "secret");
        shell.env("SECRET", stack.said["outputs"]["SecretName"].as_str().unwrap());
        output(shell);
    }
}

#[test]
fn the_configuration_that_the_layer_begins_with_has_no_faults() {
    let path = root().join("infra/sam/config/longshore.toml");
    let text = std::fs::read(&path).unwrap();
    let policy = longshore_policy::check_bytes(&text, "longshore.toml").unwrap();
    assert!(policy.repositories.iter().all(|repository| repository.forge.is_some()), "Lambda has no git");
}
