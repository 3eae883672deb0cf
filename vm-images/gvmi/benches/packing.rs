//! How fast images are packed and unpacked, side by side with squashfs-tools where they are installed.
//!
//! `cargo bench -p gvmi` packs 200 MB of this machine's `/usr`; `cargo bench -p gvmi -- FOLDER` packs a folder.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use gvmi::{Configuration, Image, pack};
use walkdir::WalkDir;

/// Bytes of the files that are packed if no folder is named.
const SIZE: u64 = 200_000_000;

/// Each is done so often, and the fastest counts: whatever else a machine does only makes it slower.
const ROUNDS: usize = 3;

/// The levels of zstd that mksquashfs packs with: the one that `gvmi::pack` has, and its own.
const LEVELS: [&str; 2] = ["3", "15"];

fn main() -> io::Result<()> {
    // Cargo adds a flag of its own.
    let folder = env::args().skip(1).find(|word| !word.starts_with("--"));
    let place = tempfile::tempdir()?;
    let tree = match folder {
        Some(folder) => PathBuf::from(folder),
        None => a_part_of_usr(&place.path().join("tree"))?,
    };
    let (files, size) = measure(&tree);
    println!(
        "{files} files, {} MB of {}\n",
        size / 1_000_000,
        tree.display()
    );
    println!("| | seconds | MB/s | MB of image |\n|---|---|---|---|");

    let image = place.path().join("image.gvmi");
    let time = fastest(&image, || {
        pack(&tree, &Configuration::default(), &image).map_err(io::Error::other)
    })?;
    row("gvmi::pack, zstd", size, time, Some(&image));
    for level in LEVELS {
        let squashfs = place.path().join("image.squashfs");
        let time = fastest(&squashfs, || {
            tool(
                Command::new("mksquashfs")
                    .args([&tree, &squashfs])
                    .args(["-comp", "zstd", "-Xcompression-level", level])
                    .args(["-no-xattrs", "-all-root", "-quiet", "-no-progress"]),
            )
        });
        report(
            &format!("mksquashfs, zstd level {level}"),
            size,
            time,
            Some(&squashfs),
        );
    }

    let unpacked = place.path().join("unpacked");
    let opened = Image::open(&image).map_err(io::Error::other)?;
    let time = fastest(&unpacked, || {
        let tree = opened.tree().map_err(io::Error::other)?;
        tree.unpack(&unpacked).map_err(io::Error::other)
    })?;
    row("gvmi::Tree::unpack", size, time, None);
    let time = fastest(&unpacked, || {
        tool(
            Command::new("unsquashfs")
                .args(["-no-progress", "-dest"])
                .args([&unpacked, &image]),
        )
    });
    report("unsquashfs", size, time, None);
    Ok(())
}

/// Copies files of this machine until there are enough.
fn a_part_of_usr(tree: &Path) -> io::Result<PathBuf> {
    let mut size = 0;
    for entry in WalkDir::new("/usr")
        .sort_by_file_name()
        .into_iter()
        .flatten()
    {
        let metadata = entry.metadata()?;
        if !entry.file_type().is_file() || size + metadata.len() > SIZE {
            continue;
        }
        let to = tree.join(entry.path().strip_prefix("/").unwrap_or(entry.path()));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        // What this user may not read is left out.
        size += fs::copy(entry.path(), to).unwrap_or(0);
    }
    Ok(tree.into())
}

fn measure(tree: &Path) -> (usize, u64) {
    let entries = WalkDir::new(tree).into_iter().flatten();
    let sizes = entries
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| Some(entry.metadata().ok()?.len()));
    sizes.fold((0, 0), |(count, size), file| (count + 1, size + file))
}

/// The shortest time that `work` takes to make `product` anew.
fn fastest(product: &Path, mut work: impl FnMut() -> io::Result<()>) -> io::Result<Duration> {
    let mut shortest = Duration::MAX;
    for _ in 0..ROUNDS {
        let _ = fs::remove_file(product).or_else(|_| fs::remove_dir_all(product));
        let begun = Instant::now();
        work()?;
        shortest = shortest.min(begun.elapsed());
    }
    Ok(shortest)
}

fn tool(command: &mut Command) -> io::Result<()> {
    let status = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{command:?}: {status}"))),
    }
}

fn report(what: &str, size: u64, time: io::Result<Duration>, product: Option<&Path>) {
    match time {
        Ok(time) => row(what, size, time, product),
        Err(error) => println!("| {what} | not measured: {error} | | |"),
    }
}

fn row(what: &str, size: u64, time: Duration, product: Option<&Path>) {
    let seconds = time.as_secs_f64();
    let rate = size as f64 / 1e6 / seconds;
    let product = product.and_then(|path| fs::metadata(path).ok());
    let length = product.map_or(String::new(), |file| {
        format!("{:.1}", file.len() as f64 / 1e6)
    });
    println!("| {what} | {seconds:.2} | {rate:.0} | {length} |");
}
