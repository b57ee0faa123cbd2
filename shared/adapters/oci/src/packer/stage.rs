//! Carrying out a Dockerfile, instruction by instruction.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use parse_dockerfile::{Command, Dockerfile, Instruction, JsonOrStringArray};

use super::{
    Bases, Image, PackError, Request, StoredLayer, copy,
    expand::{Expander, TOTAL, split},
    ignore::Ignore,
    line::{Line, at, named},
    read_text,
    source::Context,
    tree::{Place, Tree},
};
use crate::{
    image::{Config, Platform, RootFs, RunConfig},
    layer::{Layer, LayerError, LayerWriter, Owner, Root},
};

/// The stage being built.
pub(super) struct Stage<'a> {
    request: &'a Request<'a>,
    escape: char,
    pub(super) args: BTreeMap<String, String>,
    pub(super) globals: BTreeMap<String, String>,
    pub(super) run: RunConfig,
    pub(super) tree: Tree,
    pub(super) layers: Vec<StoredLayer>,
    pub(super) diff_ids: Vec<longshore_events::Digest>,
    cmd_set: bool,
    /// How much more its words may expand to.
    left: Cell<usize>,
}

/// Packs the last stage of the Dockerfile `text`.
pub(super) fn run(
    request: &Request<'_>,
    bases: &dyn Bases,
    root: &Root,
    text: &str,
) -> Result<Image, PackError> {
    let dockerfile = parse_dockerfile::parse(text).map_err(|error| PackError::Syntax(error.to_string()))?;
    let mut stage = Stage::new(request, &dockerfile);
    for arg in dockerfile.global_args() {
        stage.arg(at(text, &arg.arg.span, "ARG"), &arg.arguments.value)?;
    }
    stage.globals.append(&mut stage.args);
    let Some(last) = dockerfile.stages().last() else {
        return Err(PackError::Syntax("it has no FROM".to_owned()));
    };
    let earlier = dockerfile.stages().filter_map(|stage| stage.from.as_.as_ref());
    let earlier: Vec<&str> = earlier.map(|(_, name)| name.value.as_ref()).collect();
    stage.from(at(text, &last.from.from.span, "FROM"), last.from, &earlier, bases)?;
    let context = Context { root, ignore: ignore(root, request.dockerfile)? };
    for instruction in last.instructions {
        let (name, span) = named(instruction);
        stage.instruction(at(text, span, name), instruction, &context)?;
    }
    stage.finish()
}

/// The first `RUN` of the last stage, as it is refused.
pub(super) fn refused_run(text: &str) -> Result<Option<PackError>, PackError> {
    let dockerfile = parse_dockerfile::parse(text).map_err(|error| PackError::Syntax(error.to_string()))?;
    let Some(last) = dockerfile.stages().last() else { return Ok(None) };
    let mut runs = last.instructions.iter().filter(|it| matches!(it, Instruction::Run(_))).map(named);
    Ok(runs.next().map(|(name, span)| at(text, span, name).unsupported(name)))
}

fn ignore(root: &Root, dockerfile: &Path) -> Result<Ignore, PackError> {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    for path in [PathBuf::from(own), PathBuf::from(".dockerignore")] {
        if let Some(text) = read_text(root, &path)? {
            let wrong = |message| PackError::Text { path, source: std::io::Error::other(message) };
            return Ignore::parse(&text).map_err(wrong);
        }
    }
    Ok(Ignore::nothing())
}

impl<'a> Stage<'a> {
    fn new(request: &'a Request<'a>, dockerfile: &Dockerfile<'_>) -> Self {
        let here = Platform::of_this_host();
        let mut globals = BTreeMap::new();
        for side in ["TARGET", "BUILD"] {
            globals.insert(format!("{side}PLATFORM"), here.to_string());
            globals.insert(format!("{side}OS"), here.os.clone());
            globals.insert(format!("{side}ARCH"), here.architecture.clone());
            globals.insert(format!("{side}VARIANT"), String::new());
        }
        Self {
            request,
            escape: dockerfile.parser_directives.escape.as_ref().map_or('\\', |escape| escape.value.value),
            args: globals.clone(),
            globals,
            run: RunConfig::default(),
            tree: Tree::default(),
            layers: Vec::new(),
            diff_ids: Vec::new(),
            cmd_set: false,
            left: Cell::new(TOTAL),
        }
    }

    fn with_expander<T>(
        &self,
        line: Line,
        use_it: impl FnOnce(&Expander<'_>) -> Result<T, String>,
    ) -> Result<T, PackError> {
        let lookup = |name: &str| {
            let prefix = format!("{name}=");
            let env = self.run.env.iter().find_map(|pair| pair.strip_prefix(&prefix));
            env.or(self.args.get(name).map(String::as_str)).map(str::to_owned)
        };
        use_it(&Expander { escape: self.escape, lookup: &lookup, left: &self.left })
            .map_err(|message| line.invalid(message))
    }

    pub(super) fn expand(&self, line: Line, text: &str) -> Result<String, PackError> {
        self.with_expander(line, |expander| expander.word(text))
    }

    fn arg(&mut self, line: Line, text: &str) -> Result<(), PackError> {
        for word in split(text, self.escape).map_err(|message| line.invalid(message))? {
            let (name, default) = match word.split_once('=') {
                Some((name, value)) => (name, Some(self.expand(line, value)?)),
                None => (word.as_str(), None),
            };
            let given = self.request.args.get(name).cloned();
            if let Some(value) = given.or(default).or_else(|| self.globals.get(name).cloned()) {
                self.args.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }

    fn instruction(
        &mut self,
        line: Line,
        instruction: &Instruction<'_>,
        context: &Context<'_>,
    ) -> Result<(), PackError> {
        match instruction {
            Instruction::Copy(it) => {
                copy::copy(self, context, line, (&it.options, &it.src, &it.dest), false)?;
            }
            Instruction::Add(it) => copy::copy(self, context, line, (&it.options, &it.src, &it.dest), true)?,
            Instruction::Arg(it) => self.arg(line, &it.arguments.value)?,
            Instruction::Env(it) => self.env(line, &it.arguments.value)?,
            Instruction::Label(it) => {
                let labels = self.with_expander(line, |expander| expander.pairs(&it.arguments.value))?;
                self.run.labels.extend(labels);
            }
            Instruction::Workdir(it) => self.workdir(line, &it.arguments.value)?,
            Instruction::User(it) => self.run.user = self.expand(line, &it.arguments.value)?,
            Instruction::Stopsignal(it) => {
                self.run.stop_signal = Some(self.expand(line, &it.arguments.value)?);
            }
            Instruction::Expose(it) => {
                for port in &it.arguments {
                    let ports =
                        ports(&self.expand(line, &port.value)?).map_err(|message| line.invalid(message))?;
                    self.run.exposed_ports.extend(ports);
                }
            }
            Instruction::Volume(it) => {
                let (JsonOrStringArray::Json(parse_dockerfile::Spanned { value: paths, .. })
                | JsonOrStringArray::String(paths)) = &it.arguments;
                for path in paths {
                    self.run.volumes.insert(self.expand(line, &path.value)?);
                }
            }
            Instruction::Entrypoint(it) => {
                self.run.entrypoint = Some(command(&it.arguments));
                // The base image's arguments were meant for its own entrypoint.
                if !self.cmd_set {
                    self.run.cmd = None;
                }
            }
            Instruction::Cmd(it) => {
                self.run.cmd = Some(command(&it.arguments));
                self.cmd_set = true;
            }
            _ => return Err(line.unsupported(line.instruction)),
        }
        Ok(())
    }

    fn env(&mut self, line: Line, text: &str) -> Result<(), PackError> {
        for (name, value) in self.with_expander(line, |expander| expander.pairs(text))? {
            let prefix = format!("{name}=");
            let pair = format!("{prefix}{value}");
            match self.run.env.iter_mut().find(|pair| pair.starts_with(&prefix)) {
                Some(there) => *there = pair,
                None => self.run.env.push(pair),
            }
        }
        Ok(())
    }

    fn workdir(&mut self, line: Line, text: &str) -> Result<(), PackError> {
        let written = self.expand(line, text)?;
        let plain = Tree::default().resolve(&self.absolute(&written)).unwrap_or_default();
        self.run.working_dir = Path::new("/").join(plain).to_string_lossy().into_owned();
        let place = self.resolve(line, &written)?;
        let missing: Vec<PathBuf> =
            place.ancestors().filter(|p| self.tree.at(p).is_none()).map(PathBuf::from).collect();
        if self.tree.at(&place).is_some_and(|place| *place != Place::Folder) {
            return Err(line.invalid(format!("{written:?} is a file")));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let layer = self.write_layer(|writer| {
            missing.iter().rev().try_for_each(|path| writer.folder(path, 0o755, Owner::default()))
        })?;
        self.tree.add(&place, Place::Folder);
        self.push_layer(layer);
        Ok(())
    }

    fn absolute(&self, path: &str) -> PathBuf {
        Path::new("/").join(&self.run.working_dir).join(path)
    }

    /// Where `path` lies in the image, links followed; relative to its root.
    pub(super) fn resolve(&self, line: Line, path: &str) -> Result<PathBuf, PackError> {
        let resolved = self.tree.resolve(&self.absolute(path));
        resolved.ok_or_else(|| line.invalid(format!("{path:?} goes through links in a circle")))
    }

    /// Writes a layer to the work folder.
    pub(super) fn write_layer(
        &self,
        fill: impl FnOnce(&mut LayerWriter<File>) -> Result<(), LayerError>,
    ) -> Result<(Layer, PathBuf), PackError> {
        let temporary = self.request.work.join(format!("layer-{}.part", self.layers.len()));
        let io = || LayerError::io(format!("write {}", temporary.display()));
        let mut writer = LayerWriter::new(File::create(&temporary).map_err(io())?, self.request.epoch);
        fill(&mut writer)?;
        let (layer, _) = writer.finish()?;
        let path = self.request.work.join(layer.digest.hex());
        fs::rename(&temporary, &path).map_err(io())?;
        Ok((layer, path))
    }

    pub(super) fn push_layer(&mut self, (layer, path): (Layer, PathBuf)) {
        self.layers.push(StoredLayer { descriptor: layer.descriptor(), path });
        self.diff_ids.push(layer.diff_id);
    }

    fn finish(mut self) -> Result<Image, PackError> {
        let epoch = self.request.epoch;
        let seconds = i64::try_from(epoch).map_err(|_| PackError::Time(epoch))?;
        let created = jiff::Timestamp::from_second(seconds).map_err(|_| PackError::Time(epoch))?;
        self.run.labels.extend(self.request.labels.clone());
        let here = Platform::of_this_host();
        let config = Config {
            created: Some(created.to_string()),
            architecture: here.architecture,
            os: here.os,
            variant: here.variant,
            config: self.run,
            rootfs: RootFs { diff_ids: self.diff_ids, ..RootFs::default() },
        };
        Image::assemble(&config, self.layers)
    }
}

fn command(written: &Command<'_>) -> Vec<String> {
    match written {
        Command::Exec(words) => words.value.iter().map(|word| word.value.clone().into_owned()).collect(),
        Command::Shell(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.value.to_owned()],
        _ => Vec::new(),
    }
}

/// `80`, `80/udp`, `8000-8010`.
fn ports(text: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("{text:?} is no port: write 80, 80/udp or 8000-8010");
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let number = |text: &str| text.parse::<u16>().map_err(|_| wrong());
    let (first, last) = (number(first)?, number(last)?);
    if first > last || !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(wrong());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}
