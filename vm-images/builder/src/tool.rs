//! Builders of others, for what Dockerfiles ask for that is not built in.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    process::Stdio,
};

use oci::{ContainerImage, Limits, Selection};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Command,
};

use crate::{
    base::BaseError,
    build::{BuiltImage, blocking},
    cache::{BuildSite, Cache, CacheError},
    error::BuildError,
};

/// A builder of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Needs no daemon.
    Buildah,
    /// Needs no daemon.
    Podman,
    /// Needs its daemon.
    Docker,
}

/// A build by a builder of others: what it builds is packed as an image, and kept in the cache.
#[derive(Clone, Debug)]
pub struct ToolBuild {
    /// Which.
    pub tool: Tool,
    /// The Dockerfile.
    pub file: PathBuf,
    /// The main context.
    pub context: PathBuf,
    /// Others, by their names.
    pub contexts: Vec<(String, PathBuf)>,
    /// Values for the variables of `ARG`s.
    pub arguments: Vec<(String, String)>,
    /// The stage that is the image, if it is not the last.
    pub target: Option<String>,
    /// A folder for images that is not the user's.
    pub cache: Option<PathBuf>,
}

/// Why a builder of others has built nothing.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// It cannot be started.
    #[error("cannot start {tool}")]
    Start {
        /// The builder.
        tool: Tool,
        /// Why.
        source: io::Error,
    },
    /// It failed.
    #[error("`{command}` failed{output}")]
    Failed {
        /// What was run.
        command: String,
        /// What it wrote last.
        output: String,
    },
    /// What it built cannot be packed.
    #[error(transparent)]
    Image(#[from] BaseError),
    /// The cache is of no use.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The image that was packed cannot be read.
    #[error(transparent)]
    Built(#[from] BuildError),
}

/// Lines of output that an error repeats.
const LAST_LINES: usize = 20;

impl Tool {
    /// All, in the order in which they are tried.
    const ALL: [Self; 3] = [Self::Buildah, Self::Podman, Self::Docker];

    /// The first that is installed and at work here.
    pub async fn installed() -> Option<Self> {
        for tool in Self::ALL {
            // Docker's program alone builds nothing: its daemon must answer.
            let mut command = Command::new(tool.program());
            let command = command.arg("info").stdin(Stdio::null());
            let outcome = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            if outcome.await.is_ok_and(|status| status.success()) {
                return Some(tool);
            }
        }
        None
    }

    fn program(self) -> &'static str {
        match self {
            Self::Buildah => "buildah",
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.program())
    }
}

impl ToolBuild {
    /// Builds, packs what was built, and keeps that in the cache under the digest that names it. `report` hears what
    /// the builder writes. What has been built already is for the builder to know.
    ///
    /// # Errors
    /// If the builder is not there or fails, or if what it built cannot be packed.
    pub async fn run(self, mut report: impl FnMut(String)) -> Result<BuiltImage, ToolError> {
        let cache = match self.cache.clone() {
            Some(folder) => Cache::at(folder),
            None => Cache::of_user()?,
        };
        let site = {
            let cache = cache.clone();
            blocking(move || cache.build_site()).await?
        };
        let name = format!("localhost/kiln-build-{}:latest", std::process::id());
        let archive = site.base("archive");
        let built = self.build_and_save(&name, &archive, &mut report).await;
        // The image is in the archive, or there is none.
        let removing = self.command(&["rmi", "--force", &name]).output().await;
        drop(removing);
        built?;
        let context = self.context.clone();
        blocking(move || admit(&cache, &site, &archive, &context)).await
    }

    async fn build_and_save(
        &self,
        name: &str,
        archive: &Path,
        report: &mut impl FnMut(String),
    ) -> Result<(), ToolError> {
        let mut build = self.command(&["build", "--tag", name]);
        build.arg("--file").arg(&self.file);
        if self.tool != Tool::Docker {
            // The other ways need more of the system than many have.
            build.args(["--isolation", "chroot"]);
        }
        for (name, path) in &self.contexts {
            let value = format!("{name}={}", path.display());
            build.args(["--build-context", &value]);
        }
        for (name, value) in &self.arguments {
            build.args(["--build-arg", &format!("{name}={value}")]);
        }
        if let Some(target) = &self.target {
            build.args(["--target", target]);
        }
        build.arg(&self.context);
        self.carry_out(build, report).await?;
        let archive = archive.display();
        let save = match self.tool {
            Tool::Buildah => {
                let to = format!("docker-archive:{archive}:{name}");
                self.command(&["push", name, &to])
            }
            Tool::Podman => {
                let to = archive.to_string();
                self.command(&["save", "--format", "docker-archive", "--output", &to, name])
            }
            Tool::Docker => self.command(&["save", "--output", &archive.to_string(), name]),
        };
        self.carry_out(save, report).await
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.tool.program());
        command
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn carry_out(
        &self,
        mut command: Command,
        report: &mut impl FnMut(String),
    ) -> Result<(), ToolError> {
        let failed = |source| ToolError::Start {
            tool: self.tool,
            source,
        };
        let words: Vec<_> = std::iter::once(command.as_std().get_program())
            .chain(command.as_std().get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (mut out, mut err) = (lines(process.stdout.take()), lines(process.stderr.take()));
        let mut last = std::collections::VecDeque::new();
        let (mut out_open, mut err_open) = (true, true);
        while out_open || err_open {
            let (line, is_open) = tokio::select! {
                line = next(&mut out), if out_open => (line, &mut out_open),
                line = next(&mut err), if err_open => (line, &mut err_open),
            };
            let Some(line) = line else {
                *is_open = false;
                continue;
            };
            let line = line.replace(char::is_control, " ");
            last.push_back(line.clone());
            if last.len() > LAST_LINES {
                last.pop_front();
            }
            report(line);
        }
        let status = process.wait().await.map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        let lines: String = last.iter().map(|line| format!("\n    {line}")).collect();
        Err(ToolError::Failed {
            command: words.join(" "),
            output: match lines.as_str() {
                "" => format!(" ({status}) and has written nothing"),
                lines => format!(" ({status}); its output:{lines}"),
            },
        })
    }
}

type Lines = Option<tokio::io::Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>>;

fn lines(output: Option<impl AsyncRead + Send + Unpin + 'static>) -> Lines {
    let output: Box<dyn AsyncRead + Send + Unpin> = Box::new(output?);
    Some(BufReader::new(output).lines())
}

/// The next line, until what cannot be read: nobody needs the rest.
async fn next(lines: &mut Lines) -> Option<String> {
    lines.as_mut()?.next_line().await.ok().flatten()
}

/// Packs the image in `archive`, and puts it into the cache.
fn admit(
    cache: &Cache,
    site: &BuildSite,
    archive: &Path,
    context: &Path,
) -> Result<BuiltImage, ToolError> {
    let selection = Selection {
        name: None,
        limits: Limits::default(),
        scratch: cache.folder()?,
    };
    let image = ContainerImage::open(archive, &selection).map_err(BaseError::from)?;
    let digits: String = image.id().hex().chars().take(32).collect();
    let name = format!("{}-{digits}.gvmi", crate::build::plain_name(context));
    if let Some(path) = cache.find(&name) {
        return Ok(BuiltImage::read_now(path, false)?);
    }
    image.pack(&site.image()).map_err(BaseError::from)?;
    let path = cache.admit(&site.image(), &name)?;
    Ok(BuiltImage::read_now(path, true)?)
}
