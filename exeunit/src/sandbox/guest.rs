//! Process 1 of a virtual machine: it builds around itself what a launcher builds of namespaces, and becomes the agent.
//!
//! ```text
//! /dev/vda       the image, a squashfs
//! /dev/vdb       the scratch space, an ext4, if it is not in memory
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
    fs::{CWD, FileType, Mode, OFlags, makedev, mkdirat, mknodat, open, symlinkat},
    io::{Errno, Result as Outcome, retry_on_intr},
    mount::{MountFlags, mount, mount_bind, mount_move},
    process::{chdir, chroot, getpid},
    system::{finit_module, sethostname},
};

use super::{
    agent::{self, Link},
    files::{self, Task},
    mounts::{MountError, Step},
    netlink::Netlink,
    wire::{Boot, Report, Request, Unable},
};
use crate::{
    cause::in_one_line,
    within::{self, Bounds},
};

/// How long the machine may take to find its devices.
const PATIENCE: Duration = Duration::from_secs(60);
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
    for (number, path) in boot.volumes.iter().enumerate() {
        mount_volume(&root, number, path).step(format!("mount the volume {path}"))?;
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
        .step("enter the root folder")
}

fn mount_scratch(boot: &Boot, flags: MountFlags) -> Outcome<()> {
    if boot.has_disk {
        let device = match boot.has_image {
            true => "/dev/vdb",
            false => "/dev/vda",
        };
        return mount(device, "/scratch", "ext4", flags, None);
    }
    let options = CString::new(format!("size={},mode=0755", boot.scratch_bytes));
    let options = options.map_err(|_| Errno::INVAL)?;
    mount("scratch", "/scratch", "tmpfs", flags, &*options)
}

fn mount_volume(root: &impl std::os::fd::AsFd, number: usize, path: &str) -> Outcome<()> {
    let folder = format!("/scratch/volumes/{number}");
    mkdirat(CWD, &folder, Mode::from_raw_mode(0o755))?;
    mount_bind(&folder, Point::new(root, path)?.path())
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
