//! The clients, installed once each.

use std::{
    env,
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use crate::local_node::target;

/// Whose programs are run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Client {
    Yapapi,
    GolemJs,
}

/// A client that can be used.
pub(crate) struct Installed {
    client: Client,
    folder: PathBuf,
}

impl Client {
    fn name(self) -> &'static str {
        match self {
            Self::Yapapi => "yapapi",
            Self::GolemJs => "golem-js",
        }
    }

    /// Its programs, and what they need.
    fn programs(self) -> PathBuf {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance");
        Path::new(folder).join(self.name())
    }

    /// The commands without which there is nothing to install it with.
    fn needs(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Yapapi => &[&["python3", "-c", "import venv, ensurepip"]],
            Self::GolemJs => &[&["node", "--version"], &["npm", "--version"]],
        }
    }

    /// Installs it, unless that was done before. Nothing where it cannot be: for want of what it is written in, or, unless
    /// this is CI, of the registry that it comes from.
    pub(crate) fn installed(self) -> Option<Installed> {
        if let Some(missing) = self.needs().iter().find(|command| !works(command)) {
            self.skip(&format!("`{}` does not work", missing.join(" ")));
            return None;
        }
        static OUTCOMES: [OnceLock<Result<(), String>>; 2] = [const { OnceLock::new() }; 2];
        let folder = target().join("conformance").join(self.name());
        match OUTCOMES[self as usize].get_or_init(|| self.install_once(&folder)) {
            Ok(()) => Some(Installed {
                client: self,
                folder,
            }),
            Err(error) if env::var_os("CI").is_none_or(|ci| ci.is_empty()) => {
                let last = error.trim_end().lines().last().unwrap_or_default();
                self.skip(&format!("it cannot be installed: {last}"));
                None
            }
            Err(error) => panic!("{} cannot be installed: {error}", self.name()),
        }
    }

    /// Says that it is not tested, to the terminal itself: a test's own output is not shown when it passes.
    fn skip(self, cause: &str) {
        let warning = format!("SKIPPED: {} is not tested, as {cause}\n", self.name());
        if fs::write("/dev/tty", &warning).is_err() {
            fs::write("/proc/self/fd/2", &warning).expect("standard error");
        }
    }

    /// Installs it in this folder, unless that was done before.
    fn install_once(self, folder: &Path) -> Result<(), String> {
        fs::create_dir_all(folder).expect("a folder");
        // Other processes of tests need it as well.
        let lock = File::create(folder.join(".lock")).expect("a lock");
        lock.lock().expect("a lock");
        let (wanted, marker) = (self.manifest(), folder.join(".installed"));
        if fs::read_to_string(&marker).ok().as_ref() != Some(&wanted) {
            self.install(folder)?;
            fs::write(marker, wanted).expect("a marker");
        }
        Ok(())
    }

    /// Which version of what is to be installed.
    fn manifest(self) -> String {
        let file = match self {
            Self::Yapapi => "requirements.txt",
            Self::GolemJs => "package.json",
        };
        fs::read_to_string(self.programs().join(file)).expect("a manifest")
    }

    fn install(self, folder: &Path) -> Result<(), String> {
        match self {
            Self::Yapapi => {
                let requirements = self.programs().join("requirements.txt");
                done(
                    Command::new("python3")
                        .args(["-m", "venv", "--clear"])
                        .arg(folder.join("venv")),
                )?;
                done(
                    Command::new(folder.join("venv/bin/pip"))
                        .args(["install", "--quiet", "--disable-pip-version-check", "-r"])
                        .arg(requirements),
                )
            }
            Self::GolemJs => {
                fs::write(folder.join("package.json"), self.manifest()).expect("a manifest");
                done(
                    Command::new("npm")
                        .args([
                            "install",
                            "--silent",
                            "--no-audit",
                            "--no-fund",
                            "--no-package-lock",
                        ])
                        .current_dir(folder),
                )
            }
        }
    }
}

/// How long a program may run, in seconds, on a machine that has other things to do.
const PATIENCE: &str = "300";

impl Installed {
    /// Runs a program of this client's in an environment. One that hangs is ended, and has failed then.
    pub(crate) fn run(&self, program: &[&str], environment: &[(String, String)]) -> Output {
        let temporary = tempfile::tempdir().expect("a folder");
        let programs = self.client.programs();
        let mut command = Command::new("timeout");
        command.args(["-k", "10", PATIENCE]);
        match self.client {
            Client::Yapapi => {
                command.arg(self.folder.join("venv/bin/python"));
                command.arg("-B").arg(programs.join(program[0]));
            }
            Client::GolemJs => {
                // Node.js looks for modules beside a program, so the programs go beside the modules.
                for entry in fs::read_dir(&programs).expect("programs") {
                    let path = entry.expect("programs").path();
                    let name = path.file_name().expect("a name");
                    fs::copy(&path, temporary.path().join(name)).expect("a copy");
                }
                let modules = temporary.path().join("node_modules");
                std::os::unix::fs::symlink(self.folder.join("node_modules"), modules)
                    .expect("a link");
                command.arg("node").arg(temporary.path().join(program[0]));
            }
        }
        command
            .args(&program[1..])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("TMPDIR", temporary.path())
            .current_dir(temporary.path())
            .stdin(Stdio::null())
            .output()
            .expect("it starts")
    }
}

fn works(command: &[&str]) -> bool {
    let ran = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .output();
    match ran {
        Ok(ran) => ran.status.success(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{command:?}: {error}");
            false
        }
    }
}

fn done(command: &mut Command) -> Result<(), String> {
    let ran = command.stdin(Stdio::null()).output().expect("it starts");
    if ran.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?}: {}\n{}{}",
        ran.status,
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    ))
}
