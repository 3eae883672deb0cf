//! `kiln vm`: what virtual machines are made of.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use builder::Terminal;
use clap::Subcommand;
use exeunit::{
    Program,
    vm::{self, Parts, PartsError},
};

use crate::print::outln;

/// The package of a machine's first program, in the source tree that this command was compiled from.
const GUEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vm-images/guest");
const GUEST_PROGRAM: &str = "exe-unit-guest";

/// Virtual machines, as a runtime of exe-units.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Setup(Setup),
}

/// Put the parts of virtual machines where exe-units find them, and boot one.
///
/// QEMU has to be installed. The kernel is taken as it is, from this system, or from a folder that a package of one
/// was unpacked in.
#[derive(clap::Args)]
struct Setup {
    /// Where `boot/vmlinuz-VERSION` and `lib/modules/VERSION` are; one for clouds is preferred.
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    kernel_root: PathBuf,

    /// The machine's first program, statically linked; compiled from the source by default.
    #[arg(long, value_name = "PROGRAM")]
    guest: Option<PathBuf>,

    /// Where the parts go; exe-units have to be told of another folder than the usual one.
    #[arg(long, value_name = "FOLDER", env = "KILN_VM")]
    into: Option<PathBuf>,
}

/// Does what the subcommand says.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Command::Setup(setup) = arguments.command;
    let folder = match setup.into {
        Some(folder) => folder,
        None => vm::folder()?,
    };
    let guest = match setup.guest {
        Some(guest) => guest,
        None => compile().await?,
    };
    let version = vm::install(&setup.kernel_root, &guest, &folder)?;
    outln!(
        "the kernel {version} and the guest are in {}",
        folder.display()
    )?;
    let parts = match Parts::find(Some(&folder)) {
        Err(error @ PartsError::Qemu) => return Err(error.into()),
        found => found?,
    };
    let program = Program::this()?;
    let choice = vm::choose(&program, &parts).await;
    vm::test(&program, &parts, choice.accelerator, vm::PATIENCE)
        .await
        .context("a test machine does not start")?;
    outln!("a test machine starts, with {}", choice.accelerator)?;
    if let Some(warning) = choice.warning() {
        outln!("{warning}")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn compile() -> anyhow::Result<PathBuf> {
    anyhow::ensure!(
        Path::new(GUEST).is_dir(),
        "the source of the guest is not at {GUEST} any more: give its program with --guest"
    );
    let programs = builder::static_programs(GUEST, &Terminal::stderr()).await?;
    Ok(programs.join(GUEST_PROGRAM))
}
