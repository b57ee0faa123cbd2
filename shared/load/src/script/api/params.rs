//! Requests as scripts describe them: URL, body, parameters.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rquickjs::{Ctx, Exception, Object, Result, Value};

use super::super::vu::Vu;
use super::cookies::Jar;
use super::form::{FORM, Field, form, multipart};
use super::text;
use crate::http::{Url, canonical};
use crate::metrics::TagList;
use crate::raw::bytes_of;

/// Which statuses are as they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Those in these ranges, ends included.
    Statuses(Vec<(u16, u16)>),
    /// Nobody judges.
    Unjudged,
}

impl Default for Expected {
    fn default() -> Self {
        Self::Statuses(vec![(200, 399)])
    }
}

impl Expected {
    /// `None` where nobody judges.
    pub(crate) fn judge(&self, status: u16) -> Option<bool> {
        match self {
            Self::Statuses(ranges) => Some(ranges.iter().any(|(low, high)| (*low..=*high).contains(&status))),
            Self::Unjudged => None,
        }
    }

    /// From what `expectedStatuses` made, or `null`.
    pub(crate) fn read(ctx: &Ctx<'_>, value: &Value<'_>) -> Result<Self> {
        if value.is_null() {
            return Ok(Self::Unjudged);
        }
        let ranges = value.as_object().map(|object| object.get::<_, Option<Vec<Vec<u16>>>>("__statuses"));
        match ranges.transpose()?.flatten() {
            Some(ranges) => Ok(Self::Statuses(
                ranges.iter().filter_map(|range| Some((*range.first()?, *range.get(1)?))).collect(),
            )),
            None => {
                Err(Exception::throw_type(ctx, "a response callback must be made by http.expectedStatuses"))
            }
        }
    }
}

/// What becomes of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Text,
    Binary,
    Nothing,
}

/// A request, ready to be sent from any fiber.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) method: Cow<'static, str>,
    pub(crate) url: Rc<Url>,
    /// The tag `name`, where the URL does not stand for it.
    pub(crate) name: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) timeout: Duration,
    /// `None`: as the options say.
    pub(crate) redirects: Option<u32>,
    pub(crate) own: TagList,
    pub(crate) base: Rc<TagList>,
    pub(crate) expected: Expected,
    pub(crate) jar: Rc<RefCell<Jar>>,
    /// Cookies of this request: name, value, and whether it stands above the jar's.
    pub(crate) cookies: Vec<(String, String, bool)>,
    pub(crate) kept: Kept,
    pub(crate) throw: bool,
    /// It has a header `Referer` of its own.
    pub(crate) own_referer: bool,
}

impl Prepared {
    /// From what a script passes.
    ///
    /// # Errors
    /// Something in it is not as it must be.
    pub(crate) fn read<'js>(
        ctx: &Ctx<'js>,
        vu: &Vu,
        method: impl Into<Cow<'static, str>>,
        url: &Value<'js>,
        body: Option<&Value<'js>>,
        params: Option<&Value<'js>>,
    ) -> Result<Self> {
        super::not_in_init(ctx, vu, "requests")?;
        let (address, name) = address(url)?;
        let url = vu.url(&address).map_err(|message| Exception::throw_message(ctx, &message))?;
        let jar = vu.jars.borrow().first().cloned().unwrap_or_default();
        let options = &vu.lane.run.options.http;
        let mut made = Self {
            method: method.into(),
            url,
            name,
            headers: Vec::new(),
            body: None,
            timeout: Duration::from_mins(1),
            redirects: None,
            own: TagList::default(),
            base: vu.tags_now(),
            expected: vu.expected.borrow().clone(),
            jar,
            cookies: Vec::new(),
            kept: if options.discard_bodies { Kept::Nothing } else { Kept::Text },
            throw: options.throw,
            own_referer: false,
        };
        if let Some(params) = params.and_then(Value::as_object) {
            made.read_params(ctx, vu, params)?;
        }
        if let Some(body) = body.filter(|body| !body.is_null() && !body.is_undefined()) {
            made.read_body(ctx, body)?;
        }
        if let Some((name, password)) = &made.url.user
            && !made.has_header("authorization")
        {
            use base64::Engine as _;
            let both = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
            made.headers.push(("Authorization".to_owned(), format!("Basic {both}")));
        }
        made.own_referer = made.has_header("referer");
        Ok(made)
    }

    fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    fn read_params<'js>(&mut self, ctx: &Ctx<'js>, vu: &Vu, params: &Object<'js>) -> Result<()> {
        for entry in params.props::<String, Value<'js>>() {
            let (name, value) = entry?;
            if !value.is_null() && !value.is_undefined() || name == "responseCallback" {
                self.read_param(ctx, vu, &name, &value)?;
            }
        }
        Ok(())
    }

    fn read_param<'js>(&mut self, ctx: &Ctx<'js>, vu: &Vu, name: &str, value: &Value<'js>) -> Result<()> {
        let wrong = |what: &str| Exception::throw_message(ctx, &format!("request parameter {name}: {what}"));
        let object = || value.as_object().ok_or_else(|| wrong("must be an object"));
        match name {
            "headers" => {
                for entry in object()?.props::<String, Value<'js>>() {
                    let (name, value) = entry?;
                    self.headers.push((canonical(&name), text(&value)?));
                }
            }
            "tags" => {
                for entry in object()?.props::<String, Value<'js>>() {
                    let (name, value) = entry?;
                    let value = text(&value)?;
                    if name == "name" {
                        self.name = Some(value);
                    } else {
                        self.own.set(&name, &value);
                    }
                }
            }
            "timeout" => {
                self.timeout = match value.as_number() {
                    Some(ms) if (0.0..3.2e12).contains(&ms) => Duration::from_secs_f64(ms / 1_000.0),
                    Some(_) => return Err(wrong("must be milliseconds, or a duration such as \"10s\"")),
                    None => crate::options::duration::parse(&text(value)?).map_err(|error| wrong(&error))?,
                };
            }
            "redirects" => {
                let number = value.get::<rquickjs::Coerced<i32>>()?.0;
                self.redirects =
                    Some(u32::try_from(number).map_err(|_| wrong("must be a whole number of at least 0"))?);
            }
            "auth" => match text(value)?.as_str() {
                // The name and the password stand in the URL, which is enough.
                "basic" => {}
                other => return Err(wrong(&format!("{other:?} is not supported: only \"basic\" is"))),
            },
            "compression" => return Err(wrong("bodies are not compressed: compress it before")),
            "responseType" => {
                self.kept = match text(value)?.as_str() {
                    "text" => Kept::Text,
                    "binary" => Kept::Binary,
                    "none" => Kept::Nothing,
                    _ => return Err(wrong("must be \"text\", \"binary\" or \"none\"")),
                };
            }
            "responseCallback" => self.expected = Expected::read(ctx, value)?,
            "throw" => self.throw = value.as_bool().unwrap_or(self.throw),
            "jar" => {
                let place = object()?.get::<_, Option<usize>>("__jar")?;
                let jar = place.and_then(|place| vu.jars.borrow().get(place).cloned());
                self.jar =
                    jar.ok_or_else(|| wrong("must be made by new http.CookieJar() or http.cookieJar()"))?;
            }
            "cookies" => {
                for entry in object()?.props::<String, Value<'js>>() {
                    let (name, value) = entry?;
                    let (value, replace) = match value.as_object() {
                        Some(object) => (
                            text(&object.get("value")?)?,
                            object.get::<_, Option<bool>>("replace")?.unwrap_or(false),
                        ),
                        None => (text(&value)?, false),
                    };
                    self.cookies.push((name, value, replace));
                }
            }
            // k6 ignores what it does not know; a typing error would go unseen.
            other => return Err(wrong(&format!("there is no parameter {other:?}"))),
        }
        Ok(())
    }

    fn read_body<'js>(&mut self, ctx: &Ctx<'js>, body: &Value<'js>) -> Result<()> {
        if let Some(string) = body.as_string() {
            self.body = Some(string.to_string()?.into_bytes());
            return Ok(());
        }
        if let Some(bytes) = bytes_of(body) {
            self.body = Some(bytes);
            return Ok(());
        }
        let Some(object) = body.as_object().filter(|_| !body.is_array() && !body.is_function()) else {
            return Err(Exception::throw_type(
                ctx,
                "a request's body must be a text, bytes, or an object of fields",
            ));
        };
        let mut fields = Vec::new();
        for entry in object.props::<String, Value<'js>>() {
            let (name, value) = entry?;
            let list = value.as_array().map(|list| list.iter::<Value<'js>>().collect::<Result<Vec<_>>>());
            for value in list.unwrap_or_else(|| Ok(vec![value.clone()]))? {
                fields.push((name.clone(), Field::read(&value)?));
            }
        }
        let files = fields.iter().any(|(_, field)| matches!(field, Field::File { .. }));
        let (kind, bytes) = if files { multipart(&fields) } else { (FORM.to_owned(), form(&fields)) };
        if files || !self.has_header("content-type") {
            self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
            self.headers.push(("Content-Type".to_owned(), kind));
        }
        self.body = Some(bytes);
        Ok(())
    }
}

/// A URL as a text, or as `http.url` makes it, with its name.
fn address(url: &Value<'_>) -> Result<(String, Option<String>)> {
    match url.as_object() {
        Some(object) if object.contains_key("url")? => {
            Ok((object.get("url")?, object.get::<_, Option<String>>("name")?))
        }
        _ => Ok((text(url)?, None)),
    }
}
