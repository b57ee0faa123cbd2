//! Why a forge gave no answer that can be used.

use std::error::Error as StdError;

use longshore_ports::{ErrorKind, PortError};

/// A forge's API gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgeError {
    /// What was asked for is not there, or the token may not see it: forges do not tell these apart.
    #[error("{host} knows of no such thing ({said}); {login}")]
    NotFound {
        /// The forge.
        host: String,
        /// What it said.
        said: String,
        /// With which token it was asked, and what to do.
        login: String,
    },
    /// The token is wrong, or may not do this.
    #[error("{host} refuses ({status}: {said}): {login}")]
    Denied {
        /// The forge.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        said: String,
        /// With which token it was asked, and what to do.
        login: String,
    },
    /// Too much was asked in too short a time.
    #[error("{host} takes no more requests for now ({status}: {said}); {until}")]
    Limited {
        /// The forge.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        said: String,
        /// When it takes requests again, as far as it says.
        until: String,
    },
    /// It is down, slow, or cannot be reached.
    #[error("{host} does not answer: {why}")]
    Unreachable {
        /// The forge.
        host: String,
        /// Why.
        why: String,
    },
    /// It says that it is elsewhere.
    #[error(
        "{host} redirects to {to}, where the token is not sent: name its new address as the repository's `api`"
    )]
    Elsewhere {
        /// The forge.
        host: String,
        /// Where it is said to be.
        to: String,
    },
    /// It answered something else than its documentation says.
    #[error("{host} answers {why}: is the repository's `api` that of the forge?")]
    Strange {
        /// The forge.
        host: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// An answer is longer than is read.
    #[error("{host} answers more than {limit} {unit}")]
    TooLong {
        /// The forge.
        host: String,
        /// How much is read.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// A repository must be asked over its forge's API, and names none.
    #[error("the repository {0} names no `forge`, and there is no git command here: add one to it")]
    NoForge(String),
    /// The repository's name is none that the forge could have.
    #[error("{name} is no repository of {forge}: it is named {wanted} there")]
    Name {
        /// The repository's name.
        name: String,
        /// The kind of forge.
        forge: &'static str,
        /// How the forge names repositories.
        wanted: &'static str,
    },
}

impl ForgeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Denied { .. } => ErrorKind::Denied,
            Self::Limited { .. } | Self::Unreachable { .. } => ErrorKind::Unavailable,
            Self::Elsewhere { .. }
            | Self::Strange { .. }
            | Self::TooLong { .. }
            | Self::Name { .. }
            | Self::NoForge(_) => ErrorKind::Invalid,
        }
    }

    pub(crate) fn port(self, operation: String) -> PortError {
        PortError::new(self.kind(), operation, self)
    }
}

/// The last of an error's reasons: the first ones repeat the address.
pub(crate) fn innermost(error: &dyn StdError) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
