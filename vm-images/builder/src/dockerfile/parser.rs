//! From whole instructions to what they mean.

use super::{
    Copy, Instruction, Run, Scope, Step,
    forms::{self, flags, is_remote, is_shell_test, json, split_name, written},
    lines::Line,
    problem::{Problem, Wrong},
    scope::Given,
    words,
};

/// Instructions of Docker's that are beyond what is built here.
const BEYOND: [&str; 2] = ["HEALTHCHECK", "ONBUILD"];

/// Walks through the instructions of a stage; what one sets, the next ones use.
pub(super) struct Parser<'a> {
    pub(super) escape: char,
    pub(super) scope: Scope,
    pub(super) given: &'a Given,
}

impl Parser<'_> {
    /// What the instructions of a stage after its `FROM` ask for.
    pub(super) fn steps(&mut self, lines: &[Line]) -> Result<Vec<Step>, Problem> {
        let step = |line: &Line| {
            let instruction = self.instruction(&line.text);
            Ok(Step {
                line: line.number,
                text: line.text.split_whitespace().collect::<Vec<_>>().join(" "),
                instruction: instruction.map_err(|wrong| wrong.at(line.number))?,
            })
        };
        lines.iter().map(step).collect()
    }

    fn instruction(&mut self, text: &str) -> Result<Instruction, Wrong> {
        let (name, arguments) = split_name(text);
        if arguments.is_empty() {
            return Err(format!("{name} has no arguments").into());
        }
        match name.to_ascii_uppercase().as_str() {
            "COPY" => self.copy("COPY", arguments),
            "ADD" => self.copy("ADD", arguments),
            "RUN" => self.run(arguments),
            "ARG" => self.arg(arguments),
            "ENV" => self.env(arguments),
            "WORKDIR" => self.working_dir(arguments),
            "USER" => Ok(Instruction::User(self.user(arguments)?)),
            "SHELL" => self.shell(arguments),
            "VOLUME" => self.volume(arguments),
            "ENTRYPOINT" => self.command(arguments).map(Instruction::Entrypoint),
            "CMD" => self.command(arguments).map(Instruction::Cmd),
            "LABEL" => Ok(Instruction::Label(self.pairs(arguments)?)),
            "MAINTAINER" => {
                let maintainer = ("maintainer".to_owned(), arguments.to_owned());
                Ok(Instruction::Label(vec![maintainer]))
            }
            "EXPOSE" => self.expose(arguments),
            "STOPSIGNAL" => Ok(Instruction::StopSignal(self.expand(arguments)?)),
            known if BEYOND.contains(&known) => {
                Err(Wrong::Beyond(format!("{known} is not built in")))
            }
            _ => Err(format!(
                "the instruction {name} is not known; FROM, COPY, ADD, RUN, ARG, ENV, WORKDIR, USER, SHELL, VOLUME, \
                 ENTRYPOINT, CMD, LABEL, EXPOSE and STOPSIGNAL are"
            )
            .into()),
        }
    }

    fn copy(&self, instruction: &str, arguments: &str) -> Result<Instruction, Wrong> {
        let unpacks = instruction == "ADD";
        let (mut from, mut mode, mut owner) = (None, None, None);
        let (flags, rest) = flags(arguments);
        for flag in flags {
            match flag {
                ("from", Some(name)) if !name.is_empty() && !unpacks => {
                    if name.contains('$') {
                        let problem = format!(
                            "--from={name}: there are no variables here; name a stage, and let its FROM have the variable"
                        );
                        return Err(problem.into());
                    }
                    from = Some(name.to_owned());
                }
                ("chmod", Some(digits)) => mode = self.mode(digits)?,
                ("chown", Some(text)) if !text.is_empty() => owner = Some(self.expand(text)?),
                // It only says how layers are stored, and there are none here.
                ("link", None | Some("true" | "false")) => {}
                ("parents" | "exclude" | "checksum" | "keep-git-dir" | "unpack", _) => {
                    return Err(Wrong::Beyond(format!(
                        "{instruction} {} is not built in",
                        written(flag)
                    )));
                }
                other => {
                    let problem = format!(
                        "{instruction} does not know {}; --from=NAME, --chmod=OCTAL and --chown=USER:GROUP are known",
                        written(other)
                    );
                    return Err(problem.into());
                }
            }
        }
        let mut sources = self.paths(rest)?;
        let destination = sources.pop().unwrap_or_default();
        if sources.is_empty() {
            return Err(format!("{instruction} takes a source and a destination").into());
        }
        if let Some(source) = sources.iter().find(|source| source.starts_with("<<")) {
            let problem = format!("the here-document {source} is not built in");
            return Err(Wrong::Beyond(problem));
        }
        if let Some(source) = sources.iter().find(|source| unpacks && is_remote(source)) {
            let problem = format!("ADD of {source} from elsewhere is not built in");
            return Err(Wrong::Beyond(problem));
        }
        if sources.len() > 1 && !destination.ends_with('/') {
            return Err(format!("with more than one source, the destination of {instruction} is a folder and must end with /").into());
        }
        Ok(Instruction::Copy(Copy {
            from,
            mode,
            owner,
            unpacks,
            sources,
            destination: self.absolute(&destination)?,
        }))
    }

    fn mode(&self, text: &str) -> Result<Option<u32>, Wrong> {
        if self.given.unknown && text.contains('$') {
            return Ok(None);
        }
        Ok(Some(forms::mode(&self.expand(text)?)?))
    }

    fn run(&self, arguments: &str) -> Result<Instruction, Wrong> {
        let (flags, rest) = flags(arguments);
        if let Some(flag) = flags.into_iter().next() {
            return Err(match flag.0 {
                "mount" | "network" | "security" | "device" => {
                    Wrong::Beyond(format!("RUN {} is not built in", written(flag)))
                }
                _ => format!("RUN does not know {}", written(flag)).into(),
            });
        }
        if rest.starts_with("<<") {
            let problem = format!("the here-document {rest} is not built in");
            return Err(Wrong::Beyond(problem));
        }
        let command = self.command(rest)?;
        if command.is_empty() {
            return Err("RUN names no program".into());
        }
        let arguments = self.scope.arguments.clone().into_iter().collect();
        Ok(Instruction::Run(Run { command, arguments }))
    }

    fn arg(&mut self, arguments: &str) -> Result<Instruction, Wrong> {
        for word in words::split(arguments, self.escape) {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name, Some(self.expand(default)?)),
                None => (word.as_str(), None),
            };
            if !is_variable(name) {
                return Err(format!("{name:?} is no name of a variable").into());
            }
            if let Some(value) = self.given.argument(name, default) {
                self.scope.arguments.insert(name.to_owned(), value);
            }
        }
        Ok(Instruction::Arg)
    }

    fn env(&mut self, arguments: &str) -> Result<Instruction, Wrong> {
        let pairs = self.pairs(arguments)?;
        self.scope.variables.extend(pairs.iter().cloned());
        Ok(Instruction::Env(pairs))
    }

    fn working_dir(&mut self, arguments: &str) -> Result<Instruction, Wrong> {
        let path = self.expand(arguments)?;
        self.scope.working_dir = without_end(self.absolute(&path)?);
        Ok(Instruction::WorkingDir(self.scope.working_dir.clone()))
    }

    fn user(&self, arguments: &str) -> Result<String, Wrong> {
        let user = self.expand(arguments)?;
        let parts: Vec<&str> = user.split(':').collect();
        let is_name = |part: &&str| !part.is_empty() && !part.contains(char::is_whitespace);
        match parts.len() {
            1 | 2 if parts.iter().all(is_name) => Ok(user),
            _ => Err(
                format!("{user:?} is no user: one is written as NAME, NUMBER or USER:GROUP").into(),
            ),
        }
    }

    fn shell(&mut self, arguments: &str) -> Result<Instruction, Wrong> {
        match json(arguments)? {
            Some(shell) if !shell.is_empty() => {
                self.scope.shell.clone_from(&shell);
                Ok(Instruction::Shell(shell))
            }
            _ => Err("SHELL takes a JSON array: SHELL [\"/bin/bash\", \"-c\"]".into()),
        }
    }

    fn volume(&self, arguments: &str) -> Result<Instruction, Wrong> {
        let paths = self.paths(arguments)?;
        if paths.is_empty() {
            return Err("VOLUME names no folder".into());
        }
        let paths = paths.iter().map(|path| match path.starts_with('/') {
            true => self.absolute(path).map(without_end),
            false => Err(format!("the volume {path:?} is no absolute path")),
        });
        Ok(Instruction::Volume(paths.collect::<Result<_, _>>()?))
    }

    fn expose(&self, arguments: &str) -> Result<Instruction, Wrong> {
        let mut ports = Vec::new();
        for word in words::split(arguments, self.escape) {
            if !(self.given.unknown && word.contains('$')) {
                ports.push(forms::port(&self.expand(&word)?)?);
            }
        }
        Ok(Instruction::Expose(ports))
    }

    /// The exec form as it is; the shell form as Docker writes it into an image.
    fn command(&self, arguments: &str) -> Result<Vec<String>, Wrong> {
        let command = match is_shell_test(arguments) {
            true => None,
            false => json(arguments)?,
        };
        Ok(command.unwrap_or_else(|| {
            let shell = self.scope.shell.iter().cloned();
            shell.chain([arguments.to_owned()]).collect()
        }))
    }

    /// `NAME=value` any number of times, or the old form of one name and its value.
    fn pairs(&self, arguments: &str) -> Result<Vec<(String, String)>, String> {
        let words = words::split(arguments, self.escape);
        if words.first().is_some_and(|first| !first.contains('=')) {
            let (name, value) = split_name(arguments);
            if value.is_empty() {
                return Err(format!("{name} has no value; write {name}=value"));
            }
            return Ok(vec![(self.expand(name)?, self.expand(value)?)]);
        }
        words
            .iter()
            .map(|word| match word.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    Ok((self.expand(name)?, self.expand(value)?))
                }
                _ => Err(format!("{word} is not of the form name=value")),
            })
            .collect()
    }

    /// Paths in an array or as words; what only begins as an array does may be a pattern.
    fn paths(&self, text: &str) -> Result<Vec<String>, String> {
        let words = json(text).ok().flatten();
        let words = words.unwrap_or_else(|| words::split(text, self.escape));
        words.iter().map(|word| self.expand(word)).collect()
    }

    fn expand(&self, word: &str) -> Result<String, String> {
        words::expand(
            word,
            &|name| self.scope.value(name, self.given),
            self.escape,
        )
    }

    /// The path from the root, below the working folder if it is relative; a `/` at its end stays.
    fn absolute(&self, path: &str) -> Result<String, String> {
        let mut parts: Vec<&str> = Vec::new();
        let below = if path.starts_with('/') {
            ""
        } else {
            &self.scope.working_dir
        };
        for part in below.split('/').chain(path.split('/')) {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                name => parts.push(name),
            }
        }
        if path.is_empty() || path.contains('\0') {
            return Err(format!("{path:?} is no path"));
        }
        let is_folder = path.ends_with('/') || path == "." || path.ends_with("/.");
        let end = if is_folder && !parts.is_empty() {
            "/"
        } else {
            ""
        };
        Ok(format!("/{}{end}", parts.join("/")))
    }
}

/// A path of a folder without the `/` at its end.
fn without_end(path: String) -> String {
    match path.strip_suffix('/') {
        Some(path) if !path.is_empty() => path.to_owned(),
        _ => path,
    }
}

pub(super) fn is_variable(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
