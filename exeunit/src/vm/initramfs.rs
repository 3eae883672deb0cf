//! The first file system of a virtual machine: its first program and the kernel's modules, as a cpio archive.

use std::io::{self, Write};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const CHARACTER_DEVICE: u32 = 0o020_600;
/// The major and minor number of `/dev/console`, where process 1 says what goes wrong.
const CONSOLE: (u32, u32) = (5, 1);
/// What ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// Writes the archive; modules, with their names and contents, are loaded in their order.
pub(super) fn write(
    to: &mut impl Write,
    guest: &[u8],
    modules: &[(String, Vec<u8>)],
) -> io::Result<()> {
    let mut archive = Archive { to, entries: 0 };
    for folder in ["dev", "proc", "modules"] {
        archive.add(folder, FOLDER, (0, 0), &[])?;
    }
    archive.add("dev/console", CHARACTER_DEVICE, CONSOLE, &[])?;
    archive.add("init", PROGRAM, (0, 0), guest)?;
    for (number, (name, content)) in modules.iter().enumerate() {
        let name = format!("modules/{number:02}-{name}");
        archive.add(&name, FILE, (0, 0), content)?;
    }
    archive.add(TRAILER, 0, (0, 0), &[])
}

/// An archive in the format "newc": each entry a header of hexadecimal numbers, a name and a content, padded to 4 bytes.
struct Archive<'a, W> {
    to: &'a mut W,
    entries: u32,
}

impl<W: Write> Archive<'_, W> {
    fn add(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) -> io::Result<()> {
        self.entries += 1;
        let size = u32::try_from(content.len()).map_err(io::Error::other)?;
        let name_size = name.len() as u32 + 1;
        let (user, group, links, time) = (0, 0, 1, 0);
        let (own_device_major, own_device_minor, checksum) = (0, 0, 0);
        let fields = [
            self.entries,
            mode,
            user,
            group,
            links,
            time,
            size,
            own_device_major,
            own_device_minor,
            device.0,
            device.1,
            name_size,
            checksum,
        ];
        let mut header = b"070701".to_vec();
        for field in fields {
            write!(header, "{field:08x}")?;
        }
        header.extend_from_slice(name.as_bytes());
        header.push(0);
        self.padded(&header)?;
        self.padded(content)
    }

    fn padded(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)?;
        let padding = bytes.len().next_multiple_of(4) - bytes.len();
        self.to.write_all(&[0; 3][..padding])
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn an_archive_is_what_cpio_reads() {
        let mut archive = Vec::new();
        let modules = [("a.ko".to_owned(), vec![1; 5]), ("b.ko".to_owned(), vec![])];
        write(&mut archive, b"program", &modules).expect("it is in memory");
        assert_eq!(archive.len() % 4, 0);
        assert!(archive.starts_with(b"070701"));
        let cpio = Command::new("cpio")
            .args(["-t", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        // Not everywhere; the kernel is the reader that counts.
        let Ok(mut cpio) = cpio else { return };
        let mut stdin = cpio.stdin.take().expect("a pipe");
        stdin.write_all(&archive).expect("a reader");
        drop(stdin);
        let output = cpio.wait_with_output().expect("an end");
        let names = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            names.lines().collect::<Vec<_>>(),
            [
                "dev",
                "proc",
                "modules",
                "dev/console",
                "init",
                "modules/00-a.ko",
                "modules/01-b.ko"
            ]
        );
    }
}
