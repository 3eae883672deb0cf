//! Where this process is among the control groups, by what `/proc` says.

use std::path::{Path, PathBuf};

/// A hierarchy of control groups, and this process's group in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which controllers it has; none if it is the unified hierarchy (version 2), whose files say that.
    pub(super) controllers: Option<Vec<String>>,
    /// Where it is mounted: the uppermost group that can be seen.
    pub(super) top: PathBuf,
    /// The folder of this process's own group.
    pub(super) own: PathBuf,
}

/// All hierarchies that are mounted, by `/proc/self/mountinfo` and `/proc/self/cgroup`.
pub(super) fn find(mountinfo: &str, membership: &str) -> Vec<Place> {
    let find = |line| {
        let mount = Mount::parse(line)?;
        let path = membership.lines().find_map(|line| mount.own_path(line))?;
        // A group that lies outside of what is mounted cannot be reached; what can be seen is then all that there is.
        let below = Path::new(path)
            .strip_prefix(mount.root)
            .unwrap_or(Path::new(""));
        let below = below.strip_prefix("/").unwrap_or(below);
        Some(Place {
            controllers: mount
                .controllers
                .map(|all| all.into_iter().map(str::to_owned).collect()),
            own: mount.point.join(below),
            top: mount.point,
        })
    };
    mountinfo.lines().filter_map(find).collect()
}

struct Mount<'a> {
    /// Which group of the hierarchy is to be seen at the mount point.
    root: &'a str,
    point: PathBuf,
    controllers: Option<Vec<&'a str>>,
}

impl<'a> Mount<'a> {
    /// Parses `36 35 98:0 /root /point rw,relatime - cgroup source rw,memory`.
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut file_system = file_system.split(' ');
        let controllers = match file_system.next()? {
            "cgroup" => Some(file_system.nth(1)?.split(',').collect()),
            "cgroup2" => None,
            _ => return None,
        };
        Some(Self {
            root,
            point: unescape(point),
            controllers,
        })
    }

    /// The path of this process's group, if this line of `/proc/self/cgroup` is of this hierarchy: `4:memory:/path`.
    fn own_path<'b>(&self, line: &'b str) -> Option<&'b str> {
        let mut parts = line.splitn(3, ':').skip(1);
        let (names, path) = (parts.next()?, parts.next()?);
        let is_it = match &self.controllers {
            None => names.is_empty(),
            Some(controllers) => names.split(',').any(|name| controllers.contains(&name)),
        };
        is_it.then_some(path)
    }
}

/// A path as `/proc` writes it, with `\040` for a space.
fn unescape(path: &str) -> PathBuf {
    let mut parts = path.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        match code {
            Some(code) => {
                plain.push(code.into());
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    PathBuf::from(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(mountinfo: &str, membership: &str) -> Vec<(Option<String>, String, String)> {
        let places = find(mountinfo, membership).into_iter();
        let tell = |place: Place| {
            let text = |path: PathBuf| path.to_string_lossy().into_owned();
            let names = place.controllers.map(|names| names.join(","));
            (names, text(place.top), text(place.own))
        };
        places.map(tell).collect()
    }

    #[test]
    fn own_groups_are_found() {
        let some = |text: &str| Some(text.to_owned());
        let owned = |a: Option<String>, b: &str, c: &str| (a, b.to_owned(), c.to_owned());
        let v1 = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let membership = "9:name=systemd:/\n4:memory:/a/b\n2:cpu,cpuacct:/\n0::/c\n";
        let expected = [
            owned(
                some("rw,cpu,cpuacct"),
                "/sys/fs/cgroup/cpu,cpuacct",
                "/sys/fs/cgroup/cpu,cpuacct/",
            ),
            owned(
                some("rw,memory"),
                "/sys/fs/cgroup/memory",
                "/sys/fs/cgroup/memory/a/b",
            ),
            owned(None, "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/c"),
        ];
        assert_eq!(places(v1, membership), expected);

        let systemd = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
        let own = "/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope";
        let expected = [owned(
            None,
            "/sys/fs/cgroup",
            &format!("/sys/fs/cgroup{own}"),
        )];
        assert_eq!(places(systemd, &format!("0::{own}\n")), expected);

        // Docker with version 1: only the container's own group is mounted.
        let docker = "99 98 0:32 /docker/4f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let expected = [owned(
            some("rw,memory"),
            "/sys/fs/cgroup/memory",
            "/sys/fs/cgroup/memory/",
        )];
        assert_eq!(places(docker, "4:memory:/docker/4f\n"), expected);

        let strange = "99 98 0:32 /../x /cgroup\\040s ro - cgroup2 cgroup2 rw\n";
        let expected = [owned(None, "/cgroup s", "/cgroup s/")];
        assert_eq!(places(strange, "0::/\n"), expected);

        assert!(places("", "0::/\n").is_empty() && places(systemd, "").is_empty());
        assert!(places("nonsense - cgroup2\n1 2 - \n", "0::/\nx\n").is_empty());
    }
}
