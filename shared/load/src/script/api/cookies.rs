//! Cookie jars (RFC 6265), as far as requests of scripts need them: one for each VU, and more if the script makes them.

use std::cell::RefCell;
use std::rc::Rc;

use jiff::Timestamp;
use rquickjs::function::Opt;
use rquickjs::{Ctx, Exception, Object, Result, Value};

use super::super::vu::Vu;
use super::{set, text};
use crate::http::Url;

/// A cookie, with where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) domain: String,
    pub(crate) path: String,
    /// Only for exactly this host.
    host_only: bool,
    pub(crate) secure: bool,
    pub(crate) http_only: bool,
    pub(crate) max_age: Option<i64>,
    pub(crate) expires: Option<Timestamp>,
    /// When it is gone; `None` at the end of the session.
    until: Option<Timestamp>,
}

/// Cookies by where they belong.
#[derive(Debug, Default)]
pub(crate) struct Jar(Vec<Cookie>);

/// The most cookies of a jar, and the longest one.
const MOST: usize = 3_000;
const LONGEST: usize = 16 << 10;

impl Cookie {
    /// What a field `Set-Cookie` says; `None` of what is none, or is for others.
    pub(crate) fn parse(field: &str, url: &Url, now: Timestamp) -> Option<Self> {
        if field.len() > LONGEST {
            return None;
        }
        let mut parts = field.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let mut cookie = Self::plain(name.trim(), value.trim().trim_matches('"'), url)?;
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            cookie.attribute(name.trim(), value.trim(), url, now)?;
        }
        Some(cookie)
    }

    fn plain(name: &str, value: &str, url: &Url) -> Option<Self> {
        let folder = url.path().rfind('/').filter(|at| *at > 0).map_or("/", |at| &url.path()[..at]);
        (!name.is_empty()).then(|| Self {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: url.host.clone(),
            path: folder.to_owned(),
            host_only: true,
            secure: false,
            http_only: false,
            max_age: None,
            expires: None,
            until: None,
        })
    }

    fn attribute(&mut self, name: &str, value: &str, url: &Url, now: Timestamp) -> Option<()> {
        match name.to_ascii_lowercase().as_str() {
            "domain" => {
                let domain = value.trim_start_matches('.').to_ascii_lowercase();
                let own = domain.is_empty() || url.host == domain;
                // Only for the host's own domain, and not for all of a top-level domain.
                let above = url.host.ends_with(&format!(".{domain}")) && domain.contains('.');
                if !own && !above {
                    return None;
                }
                if above {
                    (self.domain, self.host_only) = (domain, false);
                }
            }
            "path" if value.starts_with('/') => value.clone_into(&mut self.path),
            "secure" => self.secure = true,
            "httponly" => self.http_only = true,
            "max-age" => {
                let seconds: i64 = value.parse().ok()?;
                self.max_age = Some(seconds);
                self.until = now.checked_add(jiff::SignedDuration::from_secs(seconds)).ok();
            }
            "expires" => {
                self.expires = jiff::fmt::rfc2822::parse(value).ok().map(|time| time.timestamp());
                if self.max_age.is_none() {
                    self.until = self.expires;
                }
            }
            _ => {}
        }
        Some(())
    }

    fn is_for(&self, url: &Url, now: Timestamp) -> bool {
        let host = if self.host_only {
            url.host == self.domain
        } else {
            url.host == self.domain || url.host.ends_with(&format!(".{}", self.domain))
        };
        let path = url.path() == self.path
            || url.path().starts_with(&self.path)
                && (self.path.ends_with('/') || url.path()[self.path.len()..].starts_with('/'));
        host && path && (!self.secure || url.tls) && self.until.is_none_or(|until| until > now)
    }
}

impl Jar {
    /// Keeps a cookie, or takes the one of its name and place away if this one is gone already.
    pub(crate) fn keep(&mut self, cookie: Cookie, now: Timestamp) {
        let same = |known: &Cookie| {
            known.name == cookie.name && known.domain == cookie.domain && known.path == cookie.path
        };
        self.0.retain(|known| !same(known));
        if cookie.until.is_none_or(|until| until > now) && self.0.len() < MOST {
            self.0.push(cookie);
        }
    }

    /// What is sent to this URL, the longest paths first.
    pub(crate) fn of(&self, url: &Url, now: Timestamp) -> Vec<(String, String)> {
        let mut found: Vec<&Cookie> = self.0.iter().filter(|cookie| cookie.is_for(url, now)).collect();
        found.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        found.into_iter().map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

pub(super) fn install<'js>(native: &Object<'js>, vu: &Rc<Vu>) -> Result<()> {
    let own = Rc::clone(vu);
    set(native, "newJar", move || {
        let mut jars = own.jars.borrow_mut();
        jars.push(Rc::default());
        jars.len() - 1
    })?;
    let own = Rc::clone(vu);
    set(
        native,
        "jarSet",
        move |ctx: Ctx<'js>,
              jar: usize,
              url: String,
              name: String,
              value: String,
              options: Opt<Value<'js>>| {
            let url = parsed(&ctx, &url)?;
            let now = own.lane.run.log.clock(std::time::Instant::now());
            let mut field = format!("{name}={value}; path=/");
            let options = options.0.and_then(Value::into_object);
            for entry in options.iter().flat_map(Object::props::<String, Value<'js>>) {
                let (name, value) = entry?;
                let name = if name == "max_age" { "max-age".to_owned() } else { name };
                match value.as_bool() {
                    Some(false) => {}
                    Some(true) => field.push_str(&format!("; {}", name.replace("http_only", "httponly"))),
                    None => field.push_str(&format!("; {name}={}", text(&value)?)),
                }
            }
            let cookie = Cookie::parse(&field, &url, now);
            let cookie =
                cookie.ok_or_else(|| Exception::throw_message(&ctx, "the cookie is not for this URL"))?;
            with(&ctx, &own, jar, |jar| jar.keep(cookie, now)).map(|()| true)
        },
    )?;
    let own = Rc::clone(vu);
    set(native, "jarGet", move |ctx: Ctx<'js>, jar: usize, url: String| {
        let url = parsed(&ctx, &url)?;
        let now = own.lane.run.log.clock(std::time::Instant::now());
        let found = with(&ctx, &own, jar, |jar| jar.of(&url, now))?;
        let object = Object::new(ctx)?;
        for (name, value) in found {
            let mut values: Vec<String> = object.get::<_, Option<Vec<String>>>(&name)?.unwrap_or_default();
            values.push(value);
            object.set(name, values)?;
        }
        Ok::<_, rquickjs::Error>(object)
    })?;
    let own = Rc::clone(vu);
    set(native, "jarClear", move |ctx: Ctx<'js>, jar: usize, url: String| {
        let url = parsed(&ctx, &url)?;
        let now = own.lane.run.log.clock(std::time::Instant::now());
        with(&ctx, &own, jar, |jar| jar.0.retain(|cookie| !cookie.is_for(&url, now)))
    })?;
    let own = Rc::clone(vu);
    set(native, "jarDelete", move |ctx: Ctx<'js>, jar: usize, url: String, name: String| {
        let url = parsed(&ctx, &url)?;
        let now = own.lane.run.log.clock(std::time::Instant::now());
        with(&ctx, &own, jar, |jar| jar.0.retain(|cookie| cookie.name != name || !cookie.is_for(&url, now)))
    })
}

fn parsed(ctx: &Ctx<'_>, url: &str) -> Result<Url> {
    Url::parse(url).map_err(|message| Exception::throw_message(ctx, &message))
}

fn with<R>(ctx: &Ctx<'_>, vu: &Vu, place: usize, act: impl FnOnce(&mut Jar) -> R) -> Result<R> {
    let jar: Option<Rc<RefCell<Jar>>> = vu.jars.borrow().get(place).cloned();
    let jar = jar.ok_or_else(|| Exception::throw_message(ctx, "there is no such cookie jar"))?;
    let mut jar = jar.borrow_mut();
    Ok(act(&mut jar))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_cookie_goes_where_it_belongs() {
        let now = Timestamp::UNIX_EPOCH;
        let from = url("http://www.shop.test/a/b");
        let mut jar = Jar::default();
        for field in [
            "host=1",
            "wide=2; Domain=shop.test; Path=/",
            "safe=3; Secure; Path=/",
            "gone=4; Max-Age=0; Path=/",
            "other=5; Domain=bank.test",
            "top=6; Domain=test",
        ] {
            if let Some(cookie) = Cookie::parse(field, &from, now) {
                jar.keep(cookie, now);
            }
        }
        let names = |to: &str| {
            let mut names: Vec<String> = jar.of(&url(to), now).into_iter().map(|(name, _)| name).collect();
            names.sort();
            names
        };
        assert_eq!(names("http://www.shop.test/a/c"), ["host", "wide"]);
        assert_eq!(names("http://www.shop.test/ab"), ["wide"]);
        assert_eq!(names("https://www.shop.test/a"), ["host", "safe", "wide"]);
        assert_eq!(names("http://api.shop.test/"), ["wide"]);
        assert!(names("http://shop.test.evil/").is_empty());
    }
}
