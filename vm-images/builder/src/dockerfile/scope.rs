//! What instructions leave for those after them.

use std::collections::BTreeMap;

use gvmi::Configuration;

/// What a stage has said so far, and what it has begun with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// What `ENV` has set, in the image that the stage begins with too.
    pub(crate) variables: BTreeMap<String, String>,
    /// What `ARG` has set.
    pub(crate) arguments: BTreeMap<String, String>,
    /// The folder that relative paths are in.
    pub(crate) working_dir: String,
    /// What runs shell forms.
    pub(crate) shell: Vec<String>,
}

/// What variables an `ARG` may take its value from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// What the user says.
    pub(crate) by_user: BTreeMap<String, String>,
    /// What `ARG` before the first `FROM` says, and what is known of the platform.
    pub(crate) globally: BTreeMap<String, String>,
    /// Whether only the form is checked: what a variable is will be known later, and until then it is some path.
    pub(crate) unknown: bool,
}

impl Scope {
    /// What a stage begins with that begins with an image of this configuration.
    pub(crate) fn of(configuration: &Configuration) -> Self {
        let variables = configuration
            .env
            .iter()
            .filter_map(|variable| variable.split_once('='));
        let shell = configuration.other.get("Shell").and_then(|shell| {
            let words: Vec<String> = serde_json::from_value(shell.clone()).ok()?;
            (!words.is_empty()).then_some(words)
        });
        Self {
            variables: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            arguments: BTreeMap::new(),
            working_dir: match configuration.working_dir.as_str() {
                "" => "/".to_owned(),
                folder => folder.to_owned(),
            },
            shell: shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]),
        }
    }

    pub(super) fn value(&self, name: &str, given: &Given) -> Option<String> {
        let found = self
            .variables
            .get(name)
            .or_else(|| self.arguments.get(name));
        match found {
            None if given.unknown => Some(format!("/{name}")),
            found => found.cloned(),
        }
    }
}

impl Given {
    /// The value of the argument `name`, whose default this is, if it has one at all.
    pub(super) fn argument(&self, name: &str, default: Option<String>) -> Option<String> {
        let by_user = self.by_user.get(name).cloned();
        by_user
            .or(default)
            .or_else(|| self.globally.get(name).cloned())
    }
}

/// The arguments that say what is built for and on; both are this machine.
pub(crate) fn platform_arguments() -> BTreeMap<String, String> {
    let platform = oci::this_platform();
    let architecture = oci::this_architecture();
    let of = |prefix: &'static str| {
        [
            ("PLATFORM", platform.as_str()),
            ("OS", "linux"),
            ("ARCH", architecture),
            ("VARIANT", ""),
        ]
        .map(|(name, value)| (format!("{prefix}{name}"), value.to_owned()))
    };
    of("TARGET").into_iter().chain(of("BUILD")).collect()
}
