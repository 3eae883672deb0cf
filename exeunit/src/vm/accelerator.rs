//! How a virtual machine runs: on the processor itself, or emulated.

use std::{
    fmt, fs,
    fs::OpenOptions,
    path::{Path, PathBuf},
};

/// What executes a machine's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU, some 12 to 15 times slower.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

/// Why the processor cannot be used, in words; nothing if it may be that it can, which only a test shows.
pub(super) fn objection() -> Option<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if !has_virtualization(&cpuinfo) {
        return Some("the processor shows neither vmx nor svm".to_owned());
    }
    let opened = OpenOptions::new().read(true).write(true).open("/dev/kvm");
    let error = opened.err()?;
    Some(format!("/dev/kvm cannot be opened: {error}"))
}

/// A device that opens is not enough: there are machines whose KVM starts no guest at all.
fn has_virtualization(cpuinfo: &str) -> bool {
    let mut flags = cpuinfo.lines().filter(|line| line.starts_with("flags"));
    flags.any(|line| {
        line.split_whitespace()
            .any(|flag| matches!(flag, "vmx" | "svm"))
    })
}

/// What the last test of KVM has shown, and when: it holds until the system is started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    boot: String,
    pub(super) works: bool,
}

impl Verdict {
    pub(super) fn new(works: bool) -> Self {
        Self {
            boot: boot(),
            works,
        }
    }

    /// What was shown since the system was started, if it was tested.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(file(folder)).ok()?;
        let (boot_then, works) = text.trim().split_once(' ')?;
        let verdict = Self {
            boot: boot_then.to_owned(),
            works: works == WORKS,
        };
        (verdict.boot == boot()).then_some(verdict)
    }

    pub(super) fn write(&self, folder: &Path) {
        let works = if self.works { WORKS } else { "fails" };
        let file = file(folder);
        // Without it the next one tests again, which takes some seconds.
        if let Err(error) = fs::write(&file, format!("{} {works}\n", self.boot)) {
            tracing::debug!(file = %file.display(), %error, "the verdict on KVM is not kept");
        }
    }
}

const WORKS: &str = "works";

fn file(folder: &Path) -> PathBuf {
    folder.join("kvm")
}

/// What is different each time that the system is started.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_kept_until_the_next_boot() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Verdict::read(folder.path()), None);
        for works in [true, false] {
            Verdict::new(works).write(folder.path());
            assert_eq!(Verdict::read(folder.path()), Some(Verdict::new(works)));
        }
        fs::write(file(folder.path()), "another-boot works\n").expect("a file");
        assert_eq!(Verdict::read(folder.path()), None);
    }

    #[test]
    fn virtualization_is_a_flag_of_its_own() {
        assert!(has_virtualization(
            "model name: x\nflags\t\t: fpu vmx sse\n"
        ));
        assert!(has_virtualization("flags : svm\n"));
        assert!(!has_virtualization(
            "flags : fpu\nvmx flags : vnmi svm\nbugs : svmx vmx\n"
        ));
    }
}
