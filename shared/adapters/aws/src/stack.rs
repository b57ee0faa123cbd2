//! What a deployed stack says of itself: its outputs.
//!
//! Source: "DescribeStacks", AWS CloudFormation API reference.

use std::collections::BTreeMap;
use std::sync::Arc;

use longshore_ports::{Clock, ErrorKind, PortError};

use crate::Aws;
use crate::failure::{Call, said, silent};
use crate::plain::{Answer, Plain, element};

const OPERATION: &str = "look at the stack";
const FORM: &str = "application/x-www-form-urlencoded";

impl Aws {
    /// The outputs of a CloudFormation stack, by their names. `clock` gives the time that the request is signed with.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such stack in the region, [`ErrorKind::Denied`] when it may not be
    /// looked at.
    pub async fn outputs(
        &self,
        stack: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<BTreeMap<String, String>, PortError> {
        let region = &self.account.region;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if stack.is_empty() || stack.len() > 128 || !stack.bytes().all(is_name) {
            let why = format!("{stack:?} is no name of a stack: letters, digits and '-', at most 128");
            return Err(PortError::invalid(OPERATION, why));
        }
        let form = format!("Action=DescribeStacks&Version=2010-05-15&StackName={stack}");
        let uri = format!("{}/", self.account.address("cloudformation"));
        let plain = Plain::new(self, "cloudformation", clock);
        let answer = plain.send("POST", &uri, &[("content-type", FORM.to_owned())], form.into_bytes()).await;
        let answer = answer.map_err(|error| silent(call("CloudFormation", region), error))?;
        read(&answer, stack, region)
    }
}

fn call<'a>(resource: &'a str, region: &'a str) -> Call<'a> {
    Call { operation: OPERATION, action: "cloudformation:DescribeStacks", resource, region }
}

fn read(answer: &Answer, stack: &str, region: &str) -> Result<BTreeMap<String, String>, PortError> {
    let text = String::from_utf8_lossy(&answer.body);
    if answer.status == 200 {
        return Ok(outputs(&text));
    }
    let (code, message) = (element(&text, "Code"), element(&text, "Message"));
    if code == "ValidationError" && message.contains("does not exist") {
        let why = format!(
            "there is no stack {stack} in {region}; deploy it there, or correct its name or AWS_REGION"
        );
        return Err(PortError::new(ErrorKind::NotFound, OPERATION, why));
    }
    let resource = format!("the stack {stack}");
    let code = if code.is_empty() { format!("HTTP {}", answer.status) } else { code.to_owned() };
    Err(said(call(&resource, region), answer.status, &code, message))
}

fn outputs(text: &str) -> BTreeMap<String, String> {
    let one = |part: &str| {
        let key = part.split_once("</")?.0;
        Some((plain_text(key), plain_text(element(part, "OutputValue"))))
    };
    text.split("<OutputKey>").skip(1).filter_map(one).collect()
}

fn plain_text(xml: &str) -> String {
    let of = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    of.iter().fold(xml.trim().to_owned(), |text, (entity, char)| text.replace(entity, char))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<BTreeMap<String, String>, PortError> {
        read(&Answer { status, code: String::new(), body: body.into() }, "shop", "eu-west-1")
    }

    #[test]
    fn the_outputs_are_read_by_their_names() {
        let body = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>shop</StackName><Outputs>\
            <member><OutputKey>ConsoleUrl</OutputKey><OutputValue>https://x.on.aws/?a=1&amp;b=2</OutputValue></member>\
            <member><Description>d</Description><OutputKey>SecretName</OutputKey><OutputValue>s</OutputValue></member>\
            </Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>";
        let expected = [("ConsoleUrl", "https://x.on.aws/?a=1&b=2"), ("SecretName", "s")];
        assert_eq!(answer(200, body).unwrap(), expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert_eq!(answer(200, "<Stacks/>").unwrap(), BTreeMap::new());
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let error = |code: &str, message: &str| {
            format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            )
        };
        let missing =
            answer(400, &error("ValidationError", "Stack with id shop does not exist")).unwrap_err();
        assert_eq!(missing.kind, ErrorKind::NotFound);
        assert!(missing.to_string().contains("no stack shop in eu-west-1"), "{missing}");
        let denied = answer(403, &error("AccessDenied", "User: x is not authorized")).unwrap_err();
        assert_eq!(denied.kind, ErrorKind::Denied);
        assert!(denied.to_string().contains("cloudformation:DescribeStacks on the stack shop"), "{denied}");
        assert!(answer(503, "").unwrap_err().is_temporary());
    }
}
