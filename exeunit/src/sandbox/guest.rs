//! Process 1 of a virtual machine: it builds around itself what a launcher builds of namespaces, and becomes the agent.
//!
//! ```text
//! /dev/vda       the image, a squashfs
//! /dev/vdb       the scratch space, an ext4, if it is not in memory
//! /dev/vdc…      volumes, each an ext4
//! /dev/vport*    the agent's end of the stream to its host
//! /modules       parts of the kernel, loaded in the order of their names
//! ```
//!
//! When it fails, or its host hangs up, it ends; without a process 1 the kernel ends the machine.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io,
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, makedev, mkdirat, mknodat, open, symlinkat, unlinkat,
    },
    io::{Errno, Result as Outcome, retry_on_intr},
    mount::{MountFlags, mount, mount_bind, mount_move},
    process::{chdir, chroot, getpid},
    system::{finit_module, sethostname},
};

use super::{
    agent::{self, Link},
    files::{self, Task},
    hosts,
    mounts::{MountError, Step},
    netlink::Netlink,
    wire::{Boot, BootVolume, Report, Request, Unable},
};
use crate::{
    cause::in_one_line,
    within::{self, Bounds},
};

/// How long the machine may take to find its devices.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the machine itself is found under its host name.
const LOCALHOST: &str = "127.0.0.1";
const PAUSE: Duration = Duration::from_millis(2);

/// What a program does that is started as process 1 of a virtual machine: the code that it exits with.
pub(crate) fn main() -> u8 {
    let name = std::env::args().next().unwrap_or_default();
    if let Some(task) = Task::parse(&name) {
        return files::main(task);
    }
    if !getpid().is_init() {
        eprintln!("this is the first program of a virtual machine, and of no use elsewhere");
        return 1;
    }
    match find_host() {
        Ok(link) => serve(link),
        Err(error) => {
            // The console is in the host's log.
            eprintln!(
                "the machine does not reach its host: {}",
                in_one_line(&error)
            );
            1
        }
    }
}

fn serve(mut link: Link) -> u8 {
    let built = receive(&mut link).and_then(|boot| build(&boot));
    if let Err(error) = built {
        let unable = Unable {
            reason: in_one_line(&error),
            forbidden: false,
        };
        link.send(Report::Unable(unable));
        while link.has_unsent() && link.flush().is_ok() {
            std::thread::sleep(PAUSE);
        }
        // The host hangs up once it has read it.
        while matches!(link.receive(), Ok(true)) {
            std::thread::sleep(PAUSE);
        }
        return 1;
    }
    agent::become_agent_of_machine(link)
}

fn find_host() -> Result<Link, MountError> {
    let none = MountFlags::empty();
    mount("proc", "/proc", "proc", none, None).step("mount /proc")?;
    mount("devtmpfs", "/dev", "devtmpfs", none, None).step("mount /dev")?;
    load_modules()?;
    let until = Instant::now() + PATIENCE;
    let port = loop {
        if let Some(port) = find_port().step("look for the port")? {
            break port;
        }
        wait_until(until).step("find the port to the host")?;
    };
    let port = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&port)
        .step(format!("open {}", port.display()))?;
    // Before the host's end is known to be open, a read is answered as if it were closed.
    while is_closed(&port).step("wait for the host")? {
        wait_until(until).step("reach the host")?;
    }
    Link::new(port.into()).step("use the port")
}

fn load_modules() -> Result<(), MountError> {
    let entries = fs::read_dir("/modules").step("read /modules")?;
    let mut modules: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    modules.sort();
    for module in modules {
        let loaded = File::open(&module).and_then(|file| Ok(finit_module(file, c"", 0)?));
        loaded.step(format!("load {}", module.display()))?;
    }
    Ok(())
}

fn find_port() -> io::Result<Option<PathBuf>> {
    let is_port = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("vport");
    let mut ports = fs::read_dir("/dev")?.flatten().filter(is_port);
    Ok(ports.next().map(|port| port.path()))
}

fn is_closed(port: &File) -> Outcome<bool> {
    let mut source = [PollFd::new(port, PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    retry_on_intr(|| poll(&mut source, Some(&at_once)))?;
    Ok(source[0].revents().contains(PollFlags::HUP))
}

fn wait_until(until: Instant) -> Outcome<()> {
    std::thread::sleep(PAUSE);
    match Instant::now() < until {
        true => Ok(()),
        false => Err(Errno::TIMEDOUT),
    }
}

fn receive(link: &mut Link) -> Result<Boot, MountError> {
    loop {
        match link.next().step("understand the host")? {
            Some(Request::Boot(boot)) => return Ok(boot),
            Some(_) => return Err(Errno::PROTO).step("understand the host"),
            None => {}
        }
        let mut source = [PollFd::new(&*link, PollFlags::IN)];
        retry_on_intr(|| poll(&mut source, None)).step("wait for the host")?;
        match link.receive() {
            Ok(true) => {}
            Ok(false) => return Err(Errno::PIPE).step("hear the host"),
            Err(error) => return Err(error).step("hear the host"),
        }
    }
}

/// Makes the root folder of what it was told, and enters it.
fn build(boot: &Boot) -> Result<(), MountError> {
    let no_devices = MountFlags::NODEV | MountFlags::NOSUID;
    for folder in ["/image", "/scratch", "/root"] {
        fs::create_dir_all(folder).step(format!("create {folder}"))?;
    }
    if boot.has_image {
        let flags = no_devices | MountFlags::RDONLY;
        mount("/dev/vda", "/image", "squashfs", flags, None).step("mount the image")?;
    }
    mount_scratch(boot, no_devices).step("mount the scratch space")?;
    for name in ["upper", "work", "volumes", "shm"] {
        fs::create_dir_all(Path::new("/scratch").join(name)).step("use the scratch space")?;
    }
    let layers = c"lowerdir=/image,upperdir=/scratch/upper,workdir=/scratch/work";
    mount("overlay", "/root", "overlay", no_devices, layers).step("mount the overlay")?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open("/root", flags, Mode::empty()).step("open the root folder")?;
    mount_devices(&root).step("make /dev")?;
    for (number, volume) in boot.volumes.iter().enumerate() {
        let step = || format!("mount the volume {}", volume.path);
        mount_volume(&root, number, volume).step(step())?;
    }
    let point = Point::new(&root, "/proc").step("make /proc")?;
    let flags = no_devices | MountFlags::NOEXEC;
    mount("proc", point.path(), "proc", flags, None).step("mount /proc")?;
    sethostname(boot.hostname.as_bytes()).step("set the host name")?;
    Netlink::open()
        .and_then(|netlink| netlink.raise_loopback())
        .step("switch the loopback device on")?;
    chdir("/root")
        .and_then(|()| mount_move(".", "/"))
        .and_then(|()| chroot("."))
        .and_then(|()| chdir("/"))
        .step("enter the root folder")?;
    match boot.hosts.is_empty() {
        true => Ok(()),
        false => hosts::write(&boot.hosts, &boot.hostname, LOCALHOST).step("write /etc/hosts"),
    }
}

fn mount_scratch(boot: &Boot, flags: MountFlags) -> Outcome<()> {
    if boot.has_disk {
        let disk = device(boot.has_image.into());
        return mount(disk, "/scratch", "ext4", flags, None);
    }
    let options = CString::new(format!("size={},mode=0755", boot.scratch_bytes));
    let options = options.map_err(|_| Errno::INVAL)?;
    mount("scratch", "/scratch", "tmpfs", flags, &*options)
}

fn mount_volume(
    root: &impl std::os::fd::AsFd,
    number: usize,
    volume: &BootVolume,
) -> io::Result<()> {
    let flags = MountFlags::NODEV | MountFlags::NOSUID;
    let point = Point::new(root, &volume.path)?;
    if let Some(bytes) = volume.memory_bytes {
        let options = CString::new(format!("size={bytes},mode=0755"))?;
        return Ok(mount("volume", point.path(), "tmpfs", flags, &*options)?);
    }
    let Some(disk) = volume.disk else {
        let folder = format!("/scratch/volumes/{number}");
        mkdirat(CWD, &folder, Mode::from_raw_mode(0o755))?;
        return Ok(mount_bind(&folder, point.path())?);
    };
    let options = CString::new(volume.options.as_str())?;
    mount(device(disk), point.path(), "ext4", flags, &*options)?;
    // The point itself is below what was mounted on it.
    let point = Point::new(root, &volume.path)?;
    match unlinkat(&point.0, "lost+found", AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The name of a disk, from 0 on.
fn device(disk: u32) -> String {
    let letters = u32::from(b'z' - b'a') + 1;
    let letter = char::from(b'a' + (disk % letters) as u8);
    format!("/dev/vd{letter}")
}

fn mount_devices(root: &impl std::os::fd::AsFd) -> Outcome<()> {
    let point = Point::new(root, "/dev")?;
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("dev", point.path(), "tmpfs", flags, c"size=64k,mode=0755")?;
    // The point itself is below what was mounted on it.
    let point = Point::new(root, "/dev")?;
    for (name, minor) in [
        ("null", 3),
        ("zero", 5),
        ("full", 7),
        ("random", 8),
        ("urandom", 9),
    ] {
        let mode = Mode::from_raw_mode(0o666);
        mknodat(
            &point.0,
            name,
            FileType::CharacterDevice,
            mode,
            makedev(1, minor),
        )?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlinkat(target, &point.0, name)?;
    }
    let shared = Point::new(root, "/dev/shm")?;
    mount_bind("/scratch/shm", shared.path())
}

/// A folder of the root to be, found without following links out of it.
struct Point(std::os::fd::OwnedFd);

impl Point {
    fn new(root: &impl std::os::fd::AsFd, path: &str) -> Outcome<Self> {
        within::create_folder(root, Bounds::Root, Path::new(path), |_| Ok(())).map(Self)
    }

    fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }
}
