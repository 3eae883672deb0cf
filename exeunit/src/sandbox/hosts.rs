//! The names that programs of a sandbox find: its `/etc/hosts`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat},
    io::Errno,
};

use crate::within::{self, Bounds};

/// How much of what an image says is kept.
const LONGEST: u64 = 1 << 20;

/// Writes the `/etc/hosts` of the file system whose root is the working directory: `hosts`, and then what the image says.
///
/// `own` is where the sandbox itself is found under its host name.
pub(super) fn write(hosts: &BTreeMap<String, String>, hostname: &str, own: &str) -> io::Result<()> {
    for name in hosts.keys() {
        let is_strange = |letter: char| letter.is_whitespace() || letter == '#';
        if name.is_empty() || name.contains(is_strange) {
            let message = format!("{name:?} is no name of a host");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    }
    let root = openat(CWD, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let path = Path::new("/etc/hosts");
    let read_only = OFlags::RDONLY | OFlags::NONBLOCK;
    let mut said = String::new();
    match within::open(&root, Bounds::Root, path, read_only, Mode::empty()) {
        Ok(file) => {
            let file = File::from(file);
            if file.metadata()?.is_file() {
                let mut bytes = Vec::new();
                file.take(LONGEST).read_to_end(&mut bytes)?;
                said = String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let folder = within::create_folder(&root, Bounds::Root, Path::new("/etc"), |_| Ok(()))?;
    // A link in its place may lead anywhere.
    match unlinkat(&folder, "hosts", AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&folder, "hosts", flags, Mode::from_raw_mode(0o644))?;
    File::from(file).write_all(compose(&said, hosts, hostname, own).as_bytes())
}

/// The first entry of a name counts: those that were asked for come first.
fn compose(said: &str, hosts: &BTreeMap<String, String>, hostname: &str, own: &str) -> String {
    let mut text = String::new();
    for (name, address) in hosts {
        text += &format!("{address}\t{name}\n");
    }
    if !hosts.contains_key("localhost") {
        text += "127.0.0.1\tlocalhost\n";
    }
    if !hosts.contains_key(hostname) {
        text += &format!("{own}\t{hostname}\n");
    }
    text + said
}

#[cfg(test)]
mod tests {
    use super::compose;

    #[test]
    fn what_is_asked_for_comes_before_what_the_image_says() {
        let hosts = [("db".to_owned(), "10.0.0.2".to_owned())].into();
        assert_eq!(
            compose("::1 localhost", &hosts, "me", "10.0.0.9"),
            "10.0.0.2\tdb\n127.0.0.1\tlocalhost\n10.0.0.9\tme\n::1 localhost"
        );
        let hosts = [("me".to_owned(), "10.0.0.3".to_owned())].into();
        assert_eq!(
            compose("", &hosts, "me", "127.0.0.1"),
            "10.0.0.3\tme\n127.0.0.1\tlocalhost\n"
        );
    }
}
