//! From whole instructions to what they mean.

use std::collections::BTreeMap;

use super::{
    Copy, Instruction, Problem, Step,
    lines::{self, Line},
    words,
};

/// Walks through the instructions; what one sets, the next ones use.
pub(super) struct Parser {
    escape: char,
    variables: BTreeMap<String, String>,
    working_dir: String,
}

impl Parser {
    /// The steps of a Dockerfile after its `FROM`.
    pub(super) fn parse(text: &str) -> Result<Vec<Step>, Problem> {
        let (lines, escape) = lines::split(text)?;
        let mut parser = Self {
            escape,
            variables: BTreeMap::new(),
            working_dir: "/".to_owned(),
        };
        let Some((first, rest)) = lines.split_first() else {
            return Err(Problem {
                line: 1,
                text: "there is no instruction in it".into(),
            });
        };
        let at = |line: &Line| {
            let line = line.number;
            move |text| Problem { line, text }
        };
        from_scratch(&first.text).map_err(at(first))?;
        rest.iter()
            .map(|line| {
                Ok(Step {
                    line: line.number,
                    text: line.text.split_whitespace().collect::<Vec<_>>().join(" "),
                    instruction: parser.instruction(&line.text).map_err(at(line))?,
                })
            })
            .collect()
    }

    fn instruction(&mut self, text: &str) -> Result<Instruction, String> {
        let (name, arguments) = split_name(text);
        if arguments.is_empty() {
            return Err(format!("{name} has no arguments"));
        }
        match name.to_ascii_uppercase().as_str() {
            "COPY" => self.copy(arguments).map(Instruction::Copy),
            "RUN" => run(arguments),
            "ENV" => self.env(arguments),
            "WORKDIR" => self.working_dir(arguments),
            "VOLUME" => self.volume(arguments),
            "ENTRYPOINT" => command(arguments).map(Instruction::Entrypoint),
            "CMD" => command(arguments).map(Instruction::Cmd),
            "LABEL" => Ok(Instruction::Label(self.pairs(arguments)?)),
            "FROM" => Err("a second FROM cannot be built: images have one stage here".into()),
            _ => Err(format!(
                "the instruction {name} is not known; FROM, COPY, RUN, ENV, WORKDIR, VOLUME, ENTRYPOINT, CMD and LABEL are"
            )),
        }
    }

    fn copy(&self, arguments: &str) -> Result<Copy, String> {
        let (mut from, mut mode) = (None, None);
        let mut rest = arguments;
        while let Some(flag) = rest.strip_prefix("--") {
            let (flag, others) = split_name(flag);
            match flag.split_once('=') {
                Some(("from", name)) if !name.is_empty() => from = Some(self.expand(name)?),
                Some(("chmod", digits)) => mode = Some(parse_mode(digits)?),
                _ => {
                    return Err(format!(
                        "COPY does not know --{flag}; --from=NAME and --chmod=OCTAL are known"
                    ));
                }
            }
            rest = others;
        }
        let mut sources = self.paths(rest)?;
        let destination = sources.pop().unwrap_or_default();
        if sources.is_empty() {
            return Err("COPY takes a source and a destination".into());
        }
        if let Some(source) = sources.iter().find(|source| source.starts_with("<<")) {
            return Err(format!("COPY cannot take a here-document ({source})"));
        }
        if sources.len() > 1 && !destination.ends_with('/') {
            return Err("with more than one source, the destination of COPY is a folder and must end with /".into());
        }
        Ok(Copy {
            from,
            mode,
            sources,
            destination: self.absolute(&destination)?,
        })
    }

    fn env(&mut self, arguments: &str) -> Result<Instruction, String> {
        let pairs = self.pairs(arguments)?;
        self.variables.extend(pairs.iter().cloned());
        Ok(Instruction::Env(pairs))
    }

    fn working_dir(&mut self, arguments: &str) -> Result<Instruction, String> {
        let path = self.expand(arguments)?;
        self.working_dir = without_end(self.absolute(&path)?);
        Ok(Instruction::WorkingDir(self.working_dir.clone()))
    }

    fn volume(&self, arguments: &str) -> Result<Instruction, String> {
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
        words::expand(word, &self.variables, self.escape)
    }

    /// The path from the root, below the working folder if it is relative; a `/` at its end stays.
    fn absolute(&self, path: &str) -> Result<String, String> {
        let mut parts: Vec<&str> = Vec::new();
        let below = if path.starts_with('/') {
            ""
        } else {
            &self.working_dir
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

fn from_scratch(text: &str) -> Result<(), String> {
    let (name, image) = split_name(text);
    if !name.eq_ignore_ascii_case("FROM") {
        return Err(format!("a Dockerfile begins with FROM, not with {name}"));
    }
    match image {
        "scratch" => Ok(()),
        other => Err(format!(
            "FROM {other} cannot be built here: only FROM scratch can"
        )),
    }
}

fn run(arguments: &str) -> Result<Instruction, String> {
    if arguments.starts_with("--") {
        let (flag, _) = split_name(arguments);
        return Err(format!("RUN does not know {flag}"));
    }
    let shell_form = || {
        "RUN takes a JSON array here, for an image from scratch has no shell of its own: RUN [\"/program\", \"argument\"]"
            .to_owned()
    };
    let command = json(arguments)?.ok_or_else(shell_form)?;
    if command.is_empty() {
        return Err("RUN names no program".into());
    }
    Ok(Instruction::Run(command))
}

/// The exec form as it is; the shell form as Docker writes it into an image.
fn command(arguments: &str) -> Result<Vec<String>, String> {
    let shell = || ["/bin/sh", "-c", arguments].map(str::to_owned).to_vec();
    Ok(json(arguments)?.unwrap_or_else(shell))
}

/// A JSON array of texts, if there is an array at all.
fn json(text: &str) -> Result<Option<Vec<String>>, String> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    // Docker would take what is no JSON as a command for the shell, which nobody means.
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| format!("{text} is no JSON array of texts in double quotes ({error})"))
}

fn parse_mode(digits: &str) -> Result<u32, String> {
    let octal = (1..=4).contains(&digits.trim_start_matches('0').len().max(1))
        && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = if octal {
        u32::from_str_radix(digits, 8).ok()
    } else {
        None
    };
    mode.ok_or_else(|| {
        format!("--chmod={digits}: the permissions must be octal, as in --chmod=755")
    })
}

/// The first word, and the rest without the spaces between.
fn split_name(text: &str) -> (&str, &str) {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (name, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn instructions(text: &str) -> Vec<Instruction> {
        let steps = Parser::parse(&format!("FROM scratch\n{text}")).unwrap();
        steps.into_iter().map(|step| step.instruction).collect()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn copy(sources: &[&str], destination: &str) -> Copy {
        Copy {
            from: None,
            mode: None,
            sources: texts(sources),
            destination: destination.to_owned(),
        }
    }

    #[test]
    fn instructions_are_understood() {
        let cases = [
            (
                "RUN [\"/a\", \"b c\"]",
                Instruction::Run(texts(&["/a", "b c"])),
            ),
            ("run [\"/a\"]", Instruction::Run(texts(&["/a"]))),
            (
                "ENV a=1 b=\"2 3\"",
                Instruction::Env(pairs(&[("a", "1"), ("b", "2 3")])),
            ),
            ("ENV a 1  2=3", Instruction::Env(pairs(&[("a", "1  2=3")]))),
            (
                "LABEL \"a b\"=c d=",
                Instruction::Label(pairs(&[("a b", "c"), ("d", "")])),
            ),
            (
                "WORKDIR /a/./b/../c/",
                Instruction::WorkingDir("/a/c".into()),
            ),
            ("WORKDIR ../../x", Instruction::WorkingDir("/x".into())),
            ("VOLUME /a /b/", Instruction::Volume(texts(&["/a", "/b"]))),
            ("VOLUME [\"/a b\"]", Instruction::Volume(texts(&["/a b"]))),
            (
                "ENTRYPOINT [\"/a\"]",
                Instruction::Entrypoint(texts(&["/a"])),
            ),
            (
                "ENTRYPOINT a b",
                Instruction::Entrypoint(texts(&["/bin/sh", "-c", "a b"])),
            ),
            ("CMD []", Instruction::Cmd(vec![])),
            ("COPY a b /c/", Instruction::Copy(copy(&["a", "b"], "/c/"))),
            ("COPY [a-c] /d", Instruction::Copy(copy(&["[a-c]"], "/d"))),
            ("COPY a .", Instruction::Copy(copy(&["a"], "/"))),
            ("COPY a b/.", Instruction::Copy(copy(&["a"], "/b/"))),
            (
                "COPY [\"a b\", \"c\"]",
                Instruction::Copy(copy(&["a b"], "/c")),
            ),
            (
                "COPY --from=other --chmod=0750 a /b",
                Instruction::Copy(Copy {
                    from: Some("other".into()),
                    mode: Some(0o750),
                    ..copy(&["a"], "/b")
                }),
            ),
        ];
        for (text, instruction) in cases {
            assert_eq!(instructions(text), [instruction], "{text}");
        }
    }

    #[test]
    fn instructions_use_what_came_before() {
        let text =
            "WORKDIR /a\nWORKDIR b\nENV x=1\nENV x=2 y=$x\nCOPY $y.txt ./$x/\nVOLUME [\"/$x\"]";
        let all = instructions(text);
        assert_eq!(all[1], Instruction::WorkingDir("/a/b".into()));
        assert_eq!(all[3], Instruction::Env(pairs(&[("x", "2"), ("y", "1")])));
        assert_eq!(all[4], Instruction::Copy(copy(&["1.txt"], "/a/b/2/")));
        assert_eq!(all[5], Instruction::Volume(texts(&["/2"])));
    }

    #[test]
    fn a_step_knows_its_line_and_text() {
        let steps = Parser::parse("# first\nFROM scratch\n\nRUN [ \\\n  \"/a\" ]\n").unwrap();
        assert_eq!(
            (steps[0].line, steps[0].text.as_str()),
            (4, "RUN [ \"/a\" ]")
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error_in_its_line() {
        let cases = [
            ("", 1, "no instruction"),
            ("# FROM scratch", 1, "no instruction"),
            ("COPY a b", 1, "begins with FROM, not with COPY"),
            (
                "FROM debian:12",
                1,
                "FROM debian:12 cannot be built here: only FROM scratch can",
            ),
            (
                "FROM scratch AS base",
                1,
                "FROM scratch AS base cannot be built here",
            ),
            ("FROM", 1, "only FROM scratch"),
            ("FROM scratch\n\nFROM scratch", 3, "a second FROM"),
            (
                "FROM scratch\nADD a b",
                2,
                "the instruction ADD is not known",
            ),
            (
                "FROM scratch\nCPOY a b",
                2,
                "the instruction CPOY is not known",
            ),
            (
                "FROM scratch\nUSER 1000",
                2,
                "the instruction USER is not known",
            ),
            ("FROM scratch\nCMD", 2, "CMD has no arguments"),
            (
                "FROM scratch\nCOPY a",
                2,
                "COPY takes a source and a destination",
            ),
            ("FROM scratch\nCOPY a b c", 2, "must end with /"),
            (
                "FROM scratch\nCOPY --chown=1:1 a b",
                2,
                "COPY does not know --chown=1:1",
            ),
            (
                "FROM scratch\nCOPY --from= a b",
                2,
                "COPY does not know --from=",
            ),
            (
                "FROM scratch\nCOPY --link a b",
                2,
                "COPY does not know --link",
            ),
            ("FROM scratch\nCOPY --chmod=u+x a b", 2, "must be octal"),
            ("FROM scratch\nCOPY --chmod=77777 a b", 2, "must be octal"),
            ("FROM scratch\nCOPY <<EOF /a", 2, "here-document (<<EOF)"),
            ("FROM scratch\nCOPY a \"b", 2, "\" is missing in"),
            ("FROM scratch\nRUN /a", 2, "RUN takes a JSON array here"),
            ("FROM scratch\nRUN ['/a']", 2, "no JSON array"),
            ("FROM scratch\nRUN []", 2, "RUN names no program"),
            (
                "FROM scratch\nRUN --mount=type=bind [\"/a\"]",
                2,
                "RUN does not know --mount=type=bind",
            ),
            ("FROM scratch\nCMD [\"a\",]", 2, "no JSON array"),
            ("FROM scratch\nENV a", 2, "a has no value; write a=value"),
            (
                "FROM scratch\nENV a=1 b",
                2,
                "b is not of the form name=value",
            ),
            (
                "FROM scratch\nENV =1",
                2,
                "=1 is not of the form name=value",
            ),
            ("FROM scratch\nVOLUME a", 2, "no absolute path"),
            ("FROM scratch\nVOLUME []", 2, "VOLUME names no folder"),
            ("FROM scratch\nLABEL a=1 \\\n b=${x", 2, "is not understood"),
        ];
        for (text, line, problem) in cases {
            let found = Parser::parse(text).unwrap_err();
            assert_eq!(found.line, line, "{text:?}: {found:?}");
            assert!(found.text.contains(problem), "{text:?}: {found:?}");
        }
    }
}
