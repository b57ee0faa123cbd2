//! Why a request had no answer, with k6's codes for it (k6's documentation, "Error codes").

use std::io;

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HttpError {
    /// No answer in time.
    #[error("request timeout")]
    Timeout,
    /// The run, or the iteration's time, is over.
    #[error("interrupted")]
    Interrupted,
    /// No address belongs to the name.
    #[error("lookup: no such host")]
    NoSuchHost,
    /// The address is one of those that are never spoken to.
    #[error("ip is blacklisted: {0}")]
    Blacklisted(String),
    /// The run may not speak to this target.
    #[error("{0}")]
    Refused(String),
    #[error("dial: connection refused")]
    ConnectionRefused,
    #[error("dial: i/o timeout")]
    ConnectTimeout,
    #[error("dial: {0}")]
    Connect(String),
    #[error("read: connection reset by peer")]
    Reset,
    #[error("write: broken pipe")]
    BrokenPipe,
    /// The connection ended before the answer did.
    #[error("unexpected EOF")]
    Closed,
    #[error("{0}")]
    Io(String),
    /// The certificate's issuer is not one that is trusted.
    #[error("x509: certificate signed by unknown authority")]
    UnknownAuthority,
    /// The certificate is for other names.
    #[error("x509: certificate doesn't match hostname")]
    OtherName,
    #[error("tls: {0}")]
    Tls(String),
    /// What was answered is not HTTP.
    #[error("malformed HTTP response: {0}")]
    Malformed(String),
    /// The answer's body is larger than may be kept.
    #[error("the response's body is larger than {0} bytes: set discardResponseBodies, or ask for less")]
    TooLarge(u64),
    #[error("{0}")]
    Url(String),
    /// The body is not encoded as it says.
    #[error("decompressing: {0}")]
    Encoding(String),
}

impl HttpError {
    /// k6's code.
    pub(crate) fn code(&self) -> u32 {
        match self {
            Self::Timeout | Self::Interrupted => 1050,
            Self::NoSuchHost => 1101,
            Self::Blacklisted(_) => 1110,
            Self::Refused(_) => 1111,
            Self::Io(_) => 1200,
            Self::BrokenPipe => 1201,
            Self::Connect(_) => 1210,
            Self::ConnectTimeout => 1211,
            Self::ConnectionRefused => 1212,
            Self::Reset => 1220,
            Self::Tls(_) => 1300,
            Self::UnknownAuthority => 1310,
            Self::OtherName => 1311,
            Self::Url(_) => 1020,
            Self::Encoding(_) => 1701,
            Self::Closed | Self::Malformed(_) | Self::TooLarge(_) => 1000,
        }
    }

    /// Of connecting.
    pub(crate) fn connecting(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::ConnectionRefused,
            io::ErrorKind::TimedOut => Self::ConnectTimeout,
            _ => Self::Connect(error.to_string()),
        }
    }

    /// Of reading and writing.
    pub(crate) fn of(error: &io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::tls(tls);
        }
        match error.kind() {
            io::ErrorKind::ConnectionReset => Self::Reset,
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error.to_string()),
        }
    }

    fn tls(error: &rustls::Error) -> Self {
        use rustls::CertificateError as Certificate;
        match error {
            rustls::Error::InvalidCertificate(Certificate::UnknownIssuer) => Self::UnknownAuthority,
            rustls::Error::InvalidCertificate(
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
            ) => Self::OtherName,
            // One that signed itself, and may sign others: nobody else vouches for it.
            rustls::Error::InvalidCertificate(Certificate::Other(other))
                if other.to_string().contains("CaUsedAsEndEntity") =>
            {
                Self::UnknownAuthority
            }
            other => Self::Tls(other.to_string()),
        }
    }
}
