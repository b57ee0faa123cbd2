//! Where in a Dockerfile something is, for its errors.

use parse_dockerfile::{Instruction, Span};

use super::PackError;

/// Where in the Dockerfile we are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) instruction: &'static str,
}

impl Line {
    pub(super) fn unsupported(self, what: &str) -> PackError {
        PackError::Unsupported { line: self.number, what: what.to_owned() }
    }

    pub(super) fn invalid(self, message: impl Into<String>) -> PackError {
        PackError::Invalid { line: self.number, instruction: self.instruction, message: message.into() }
    }
}

/// The line where `span` starts.
pub(super) fn at(text: &str, span: &Span, instruction: &'static str) -> Line {
    let before = text.get(..span.start).unwrap_or_default();
    Line { number: 1 + before.matches('\n').count(), instruction }
}

/// An instruction's name, and where it is written.
pub(super) fn named<'a>(instruction: &'a Instruction<'_>) -> (&'static str, &'a Span) {
    match instruction {
        Instruction::Add(it) => ("ADD", &it.add.span),
        Instruction::Arg(it) => ("ARG", &it.arg.span),
        Instruction::Cmd(it) => ("CMD", &it.cmd.span),
        Instruction::Copy(it) => ("COPY", &it.copy.span),
        Instruction::Entrypoint(it) => ("ENTRYPOINT", &it.entrypoint.span),
        Instruction::Env(it) => ("ENV", &it.env.span),
        Instruction::Expose(it) => ("EXPOSE", &it.expose.span),
        Instruction::From(it) => ("FROM", &it.from.span),
        Instruction::Healthcheck(it) => ("HEALTHCHECK", &it.healthcheck.span),
        Instruction::Label(it) => ("LABEL", &it.label.span),
        Instruction::Maintainer(it) => ("MAINTAINER", &it.maintainer.span),
        Instruction::Onbuild(it) => ("ONBUILD", &it.onbuild.span),
        Instruction::Run(it) => ("RUN", &it.run.span),
        Instruction::Shell(it) => ("SHELL", &it.shell.span),
        Instruction::Stopsignal(it) => ("STOPSIGNAL", &it.stopsignal.span),
        Instruction::User(it) => ("USER", &it.user.span),
        Instruction::Volume(it) => ("VOLUME", &it.volume.span),
        Instruction::Workdir(it) => ("WORKDIR", &it.workdir.span),
        _ => ("this instruction", &(0..0)),
    }
}
