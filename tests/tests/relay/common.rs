//! Where the forge looks for HTTP.

#[path = "../../../cli/tests/common/http.rs"]
pub(crate) mod http;
