//! New namespaces for this process, and why they may be refused.

use std::{fs, io};

use rustix::{
    process::{getegid, geteuid},
    thread::{UnshareFlags, unshare_unsafe},
};

/// Moves this single-threaded process into namespaces of its own, where it is root.
///
/// Its children, not itself, are in the new process namespace.
pub(super) fn enter() -> io::Result<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let all = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    // SAFETY: what is unsafe is to part a thread from its process's descriptor table (CLONE_FILES), which is not asked for.
    unsafe { unshare_unsafe(all) }?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// What a system says of namespaces; `None` where it does not know the setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// `kernel.unprivileged_userns_clone`, of Debian's and hardened kernels.
    unprivileged_userns_clone: Option<String>,
    /// `user.max_user_namespaces`.
    max_user_namespaces: Option<String>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, of Ubuntu's kernels.
    apparmor_restricts: Option<String>,
    /// The `Seccomp` mode of this process: 2 if a filter is on it.
    seccomp: Option<String>,
}

impl Settings {
    /// What this system says.
    pub(super) fn read() -> Self {
        let setting = |path: &str| Some(fs::read_to_string(path).ok()?.trim().to_owned());
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let seccomp = status.lines().find_map(|l| l.strip_prefix("Seccomp:"));
        Self {
            unprivileged_userns_clone: setting("/proc/sys/kernel/unprivileged_userns_clone"),
            max_user_namespaces: setting("/proc/sys/user/max_user_namespaces"),
            apparmor_restricts: setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            seccomp: seccomp.map(|mode| mode.trim().to_owned()),
        }
    }

    /// Whether AppArmor lets a user namespace be made, and then takes away what it is made for.
    pub(super) fn take_capabilities_away(&self) -> bool {
        self.apparmor_restricts.as_deref() == Some("1")
    }

    /// Which setting forbids user namespaces, and how to allow them.
    pub(super) fn explain(&self) -> &'static str {
        let is = |setting: &Option<String>, value| setting.as_deref() == Some(value);
        if is(&self.unprivileged_userns_clone, "0") {
            "kernel.unprivileged_userns_clone is 0; \
             `sysctl -w kernel.unprivileged_userns_clone=1`, as root, allows them"
        } else if is(&self.max_user_namespaces, "0") {
            "user.max_user_namespaces is 0; \
             `sysctl -w user.max_user_namespaces=15000`, as root, allows them"
        } else if is(&self.apparmor_restricts, "1") {
            "kernel.apparmor_restrict_unprivileged_userns is 1; \
             `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, as root, allows them, \
             and so does an AppArmor profile with `userns,` for this program"
        } else if is(&self.seccomp, "2") {
            "a seccomp filter is on this process, probably that of a container; \
             in Docker or Podman `--security-opt seccomp=unconfined` lifts it"
        } else {
            "the kernel may lack them (CONFIG_USER_NS), a chroot or a container may forbid them, \
             or all that user.max_user_namespaces allows are in use"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn the_setting_that_forbids_is_named() {
        let on = |value: &str| Some(value.to_owned());
        let permissive = Settings {
            unprivileged_userns_clone: on("1"),
            max_user_namespaces: on("96365"),
            apparmor_restricts: on("0"),
            seccomp: on("0"),
        };
        let cases = [
            (
                Settings {
                    unprivileged_userns_clone: on("0"),
                    ..permissive.clone()
                },
                "kernel.unprivileged_userns_clone=1",
            ),
            (
                Settings {
                    max_user_namespaces: on("0"),
                    ..permissive.clone()
                },
                "user.max_user_namespaces=15000",
            ),
            (
                Settings {
                    apparmor_restricts: on("1"),
                    ..permissive.clone()
                },
                "kernel.apparmor_restrict_unprivileged_userns=0",
            ),
            (
                Settings {
                    seccomp: on("2"),
                    ..permissive.clone()
                },
                "--security-opt seccomp=unconfined",
            ),
            (permissive, "CONFIG_USER_NS"),
            (Settings::default(), "CONFIG_USER_NS"),
        ];
        for (settings, remedy) in cases {
            let explanation = settings.explain();
            assert!(
                explanation.contains(remedy),
                "{settings:?}: {explanation:?} lacks {remedy:?}"
            );
        }
    }
}
