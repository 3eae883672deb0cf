//! The stages of a Dockerfile: each begins with an image, and goes on with what is done to it.

use super::{
    Step,
    forms::{self, split_name},
    lines::{self, Line},
    parser::{Parser, is_variable},
    problem::{Problem, Wrong},
    scope::{Given, Scope, platform_arguments},
    words,
};

/// The stages of a Dockerfile, and what comes before them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stages {
    escape: char,
    /// The `ARG` instructions before the first `FROM`.
    globals: Vec<Line>,
    pub(super) all: Vec<Stage>,
}

/// A stage.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stage {
    /// The line of its `FROM`, from 1.
    pub(crate) line: usize,
    /// The `FROM` as it is written, in one line.
    pub(crate) text: String,
    /// What other stages call it, in lower case.
    pub(crate) name: Option<String>,
    image: String,
    platforms: Vec<String>,
    lines: Vec<Line>,
}

impl Stages {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let (lines, escape) = lines::split(text)?;
        let Some(first) = lines.first() else {
            return Err(Wrong::from("there is no instruction in it").at(1));
        };
        let is = |line: &Line, name: &str| split_name(&line.text).0.eq_ignore_ascii_case(name);
        let mut stages = Self {
            escape,
            globals: Vec::new(),
            all: Vec::new(),
        };
        for line in &lines {
            if is(line, "FROM") {
                let stage = Stage::begin(line).map_err(|wrong| wrong.at(line.number))?;
                stages.all.push(stage);
            } else if let Some(stage) = stages.all.last_mut() {
                stage.lines.push(line.clone());
            } else if is(line, "ARG") {
                stages.globals.push(line.clone());
            } else {
                let name = split_name(&line.text).0;
                let problem = format!("a Dockerfile begins with FROM, not with {name}");
                return Err(Wrong::from(problem).at(line.number));
            }
        }
        if stages.all.is_empty() {
            return Err(Wrong::from("there is no FROM in it").at(first.number));
        }
        stages.check()?;
        Ok(stages)
    }

    /// Finds what is wrong whatever the variables are.
    fn check(&self) -> Result<(), Problem> {
        let unknown = Given {
            unknown: true,
            ..Given::default()
        };
        let globals = self.global_arguments(&unknown)?;
        for (place, stage) in self.all.iter().enumerate() {
            let at = |text: String| Wrong::from(text).at(stage.line);
            if let Some(name) = &stage.name
                && self.all[..place]
                    .iter()
                    .any(|other| other.name == stage.name)
            {
                return Err(at(format!("there are two stages with the name {name}")));
            }
            self.base(stage, &globals)?;
            let scope = Scope::of(&gvmi::Configuration::default());
            self.steps(stage, scope, &globals)?;
        }
        Ok(())
    }

    /// The names of the arguments that somebody may give.
    pub(super) fn arguments(&self) -> Vec<&str> {
        let lines = self.all.iter().flat_map(|stage| &stage.lines);
        let declared = self.globals.iter().chain(lines).filter_map(|line| {
            let (name, arguments) = split_name(&line.text);
            name.eq_ignore_ascii_case("ARG").then_some(arguments)
        });
        let words = declared.flat_map(str::split_whitespace);
        words
            .map(|word| word.split_once('=').map_or(word, |(name, _)| name))
            .filter(|name| is_variable(name))
            .collect()
    }

    pub(super) fn global_arguments(&self, given: &Given) -> Result<Given, Problem> {
        let mut given = given.clone();
        given.globally = platform_arguments();
        // What is known of the platform is there in FROM without an ARG.
        let mut scope = Scope::of(&gvmi::Configuration::default());
        scope.arguments = given.globally.clone();
        let mut parser = Parser {
            escape: self.escape,
            scope,
            given: &given,
        };
        parser.steps(&self.globals)?;
        given.globally = parser.scope.arguments;
        Ok(given)
    }

    pub(super) fn base(&self, stage: &Stage, given: &Given) -> Result<String, Problem> {
        let at = |text: String| Wrong::from(text).at(stage.line);
        let value = |name: &str| match given.globally.get(name) {
            None if given.unknown => Some(name.to_owned()),
            found => found.cloned(),
        };
        let expand = |text| words::expand(text, &value, self.escape).map_err(at);
        for platform in &stage.platforms {
            let platform = expand(platform)?;
            if !given.unknown && !is_this_platform(&platform) {
                let problem = format!(
                    "FROM --platform={platform} is not built in: this machine is {}",
                    oci::this_platform()
                );
                return Err(Wrong::Beyond(problem).at(stage.line));
            }
        }
        match expand(&stage.image)? {
            image if image.is_empty() => {
                Err(at(format!("FROM names no image: {} is empty", stage.image)))
            }
            image => Ok(image),
        }
    }

    pub(super) fn steps(
        &self,
        stage: &Stage,
        scope: Scope,
        given: &Given,
    ) -> Result<(Vec<Step>, Scope), Problem> {
        let mut parser = Parser {
            escape: self.escape,
            scope,
            given,
        };
        let steps = parser.steps(&stage.lines)?;
        Ok((steps, parser.scope))
    }
}

impl Stage {
    fn begin(line: &Line) -> Result<Self, Wrong> {
        let (_, arguments) = split_name(&line.text);
        let (platforms, image, name) = forms::from(arguments)?;
        Ok(Self {
            line: line.number,
            text: line.text.split_whitespace().collect::<Vec<_>>().join(" "),
            name,
            image: image.to_owned(),
            platforms: platforms.into_iter().map(str::to_owned).collect(),
            lines: Vec::new(),
        })
    }

    /// The names of what it copies from, wherever they come from.
    pub(crate) fn copies_from(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|line| {
            let (name, arguments) = split_name(&line.text);
            let (flags, _) = forms::flags(arguments);
            let mut from = flags.into_iter().filter(|(flag, _)| *flag == "from");
            let is_copy = name.eq_ignore_ascii_case("COPY");
            from.next().and_then(|(_, value)| value).filter(|_| is_copy)
        })
    }
}

fn is_this_platform(platform: &str) -> bool {
    let here = oci::this_platform();
    platform == here
        || platform == oci::this_architecture()
        || platform.strip_suffix("/v8") == Some(&here)
}
