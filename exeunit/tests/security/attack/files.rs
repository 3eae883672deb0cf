//! Files and mounts: out of the root folder, and into what belongs to the kernel.

use std::{
    ffi::CStr,
    fs, io,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::Path,
};

use libc::*;

use super::{
    Attempt, DEVICES, Outcome, Target, VOLUME, address, attempt, call, harm, nothing, write,
};

pub(super) const ATTEMPTS: &[Attempt] = &[
    attempt("mount a tmpfs", |_| mount(c"tmpfs")),
    attempt("mount a proc", |_| mount(c"proc")),
    attempt("mount a sysfs", |_| mount(c"sysfs")),
    attempt("mount a cgroup hierarchy", |_| mount(c"cgroup")),
    attempt("mount a cgroup2 hierarchy", |_| mount(c"cgroup2")),
    attempt("mount a devpts", |_| mount(c"devpts")),
    attempt("mount a debugfs", |_| mount(c"debugfs")),
    attempt("mount a folder a second time", |_| {
        remount(MS_BIND | MS_REC)
    }),
    attempt("remount the root folder with devices", |_| {
        remount(MS_REMOUNT | MS_BIND)
    }),
    attempt("share mounts with others", |_| remount(MS_SHARED | MS_REC)),
    attempt("unmount proc", |_| {
        harm(SYS_umount2, [address(c"/proc"), MNT_DETACH as usize])
    }),
    attempt("unmount the root folder", |_| {
        harm(SYS_umount2, [address(c"/"), MNT_DETACH as usize])
    }),
    attempt("unmount a volume", |_| {
        harm(SYS_umount2, [address(c"/volume"), 0])
    }),
    attempt("pivot the root folder", |_| {
        harm(SYS_pivot_root, [address(c"."), address(c".")])
    }),
    attempt("change the root folder", |_| {
        harm(SYS_chroot, [address(c"/proc")])
    }),
    attempt("leave by an open folder and a new root", leave_by_chroot),
    attempt("make a file system", |_| {
        harm(SYS_fsopen, [address(c"tmpfs"), 0])
    }),
    attempt("clone a tree of mounts", |_| {
        harm(SYS_open_tree, [AT_FDCWD as usize, address(c"/"), 1])
    }),
    attempt("clone a tree of mounts in the young way", |_| {
        harm(467, [AT_FDCWD as usize, address(c"/"), 1])
    }),
    attempt("move a mount", |_| {
        harm(
            SYS_move_mount,
            [
                AT_FDCWD as usize,
                address(c"/volume"),
                AT_FDCWD as usize,
                address(c"/bin"),
            ],
        )
    }),
    attempt("pick a file system", |_| {
        harm(SYS_fspick, [AT_FDCWD as usize, address(c"/"), 0])
    }),
    attempt("change a mount's attributes", |_| {
        let attributes = [0_u64; 4];
        harm(
            SYS_mount_setattr,
            [
                AT_FDCWD as usize,
                address(c"/"),
                0,
                address(&attributes),
                32,
            ],
        )
    }),
    attempt("find a mount that honours set-user-id", |_| {
        unrestricted_mount("nosuid")
    }),
    attempt("find a mount that honours devices", |_| {
        unrestricted_mount("nodev")
    }),
    attempt("open a file of the host by its path", |target| {
        fs::read(&target.file).map(drop)
    }),
    attempt("open a file of the host upwards", |target| {
        fs::read(format!("/volume/../../../../../..{}", target.file)).map(drop)
    }),
    attempt("open a file of the host through its own root", |target| {
        fs::read(format!("/proc/self/root{}", target.file)).map(drop)
    }),
    attempt("open a file of the host through its own folder", |target| {
        fs::read(format!("/proc/self/cwd/../../..{}", target.file)).map(drop)
    }),
    attempt(
        "open a file of the host through the first process",
        |target| fs::read(format!("/proc/1/root{}", target.file)).map(drop),
    ),
    attempt(
        "open a file of the host through the first process's folder",
        |target| fs::read(format!("/proc/1/cwd{}", target.file)).map(drop),
    ),
    attempt("open a file of the host by a link in a volume", |target| {
        let link = Path::new(VOLUME).join("link");
        std::os::unix::fs::symlink(&target.file, &link)?;
        fs::read(link).map(drop)
    }),
    attempt("open a file of the host by its handle", open_by_handle),
    attempt("open a character device of its image", |_| {
        fs::File::open(DEVICES[0]).map(drop)
    }),
    attempt("open a block device of its image", |_| {
        fs::File::open(DEVICES[1]).map(drop)
    }),
    attempt("make a character device", |_| make_device(S_IFCHR, 1, 1)),
    attempt("make a block device", |_| make_device(S_IFBLK, 254, 0)),
    attempt("make a device in /dev", |_| {
        harm(
            SYS_mknod,
            [
                address(c"/dev/mem"),
                (S_IFCHR | 0o666) as usize,
                makedev(1, 1) as usize,
            ],
        )
    }),
    attempt("open the machine's memory", |_| {
        fs::File::open("/dev/mem").map(drop)
    }),
    attempt("open a disk", |_| {
        let disks = [
            "/dev/vda",
            "/dev/sda",
            "/dev/nvme0n1",
            "/dev/loop0",
            "/dev/loop-control",
        ];
        disks
            .into_iter()
            .find_map(|disk| fs::File::open(disk).ok())
            .map(drop)
            .ok_or_else(not_there)
    }),
    attempt("open a terminal", |_| {
        let terminals = ["/dev/tty", "/dev/ptmx", "/dev/console", "/dev/tty0"];
        terminals
            .into_iter()
            .find_map(|terminal| fs::File::open(terminal).ok())
            .map(drop)
            .ok_or_else(not_there)
    }),
    attempt("open a virtual machine", |_| {
        fs::File::open("/dev/kvm").map(drop)
    }),
    attempt("open a network tunnel", |_| {
        fs::File::open("/dev/net/tun").map(drop)
    }),
    attempt("open a file system in user space", |_| {
        fs::File::open("/dev/fuse").map(drop)
    }),
    attempt("look at the kernel's /sys", |_| {
        fs::read_dir("/sys/kernel").map(drop)
    }),
    attempt("write /proc/sysrq-trigger", |_| {
        write("/proc/sysrq-trigger", "h")
    }),
    attempt("write kernel.core_pattern", |_| {
        write("/proc/sys/kernel/core_pattern", "|/bin/sh")
    }),
    attempt("write kernel.modprobe", |_| {
        write("/proc/sys/kernel/modprobe", "/bin/sh")
    }),
    attempt("write kernel.panic", |_| {
        write("/proc/sys/kernel/panic", "1")
    }),
    attempt("write vm.drop_caches", |_| {
        write("/proc/sys/vm/drop_caches", "3")
    }),
    attempt("write vm.overcommit_memory", |_| {
        write("/proc/sys/vm/overcommit_memory", "1")
    }),
    attempt("write fs.file-max", |_| {
        write("/proc/sys/fs/file-max", "9999999")
    }),
    attempt("register a binary format", |_| {
        write("/proc/sys/fs/binfmt_misc/register", ":x:M::x::/bin/sh:")
    }),
    attempt("write the interrupts' processors", |_| {
        write("/proc/irq/default_smp_affinity", "1")
    }),
    attempt("read the kernel's memory", |_| {
        let mut memory = fs::File::open("/proc/kcore")?;
        io::Read::read_exact(&mut memory, &mut [0; 64])
    }),
    attempt("read where the kernel's functions are", |_| {
        let symbols = fs::read_to_string("/proc/kallsyms")?;
        let known = symbols
            .lines()
            .any(|line| !line.starts_with("0000000000000000"));
        if known {
            Ok(())
        } else {
            nothing("all addresses are 0")
        }
    }),
    attempt("read where the kernel's pages are", |_| {
        let map = fs::File::open("/proc/self/pagemap")?;
        let mut entry = [0; 8];
        let on_stack = address(&entry) / 4096 * 8;
        std::os::unix::fs::FileExt::read_exact_at(&map, &mut entry, on_stack as u64)?;
        let frame = u64::from_ne_bytes(entry) & ((1 << 55) - 1);
        if frame == 0 {
            nothing("the frame is 0")
        } else {
            Ok(())
        }
    }),
    attempt("give a file capabilities", |_| {
        fs::copy("/bin/cat", "/volume/capable")?;
        let capabilities: [u32; 5] = [0x0200_0001, u32::MAX, 0, u32::MAX, 0];
        harm(
            SYS_setxattr,
            [
                address(c"/volume/capable"),
                address(c"security.capability"),
                address(&capabilities),
                20,
                0,
            ],
        )
    }),
    attempt("give a file an attribute of the system's", |_| {
        fs::write("/volume/trusted", "")?;
        harm(
            SYS_setxattr,
            [
                address(c"/volume/trusted"),
                address(c"trusted.overlay.opaque"),
                address(c"y"),
                1,
                0,
            ],
        )
    }),
    attempt("give a file to another user", |_| {
        std::os::unix::fs::chown("/bin/cat", Some(1), None)
    }),
    attempt(
        "gain something by a set-user-id program of the image",
        |_| {
            let mode = fs::metadata("/bin/set-user-id")?.permissions().mode();
            let ran = std::process::Command::new("/bin/set-user-id")
                .arg("/proc/self/status")
                .output()?;
            let status = String::from_utf8_lossy(&ran.stdout).into_owned();
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_default().trim().to_owned()
            };
            match (
                field("CapEff:").as_str(),
                field("NoNewPrivs:").as_str(),
                field("Uid:").as_str(),
            ) {
                ("0000000000000000", "1", "0\t0\t0\t0") => {
                    nothing(format!("it runs without any, mode {mode:o}"))
                }
                _ => Ok(()),
            }
        },
    ),
    attempt("stop the kernel's watch over files", |_| {
        harm(SYS_fanotify_init, [0, 0])
    }),
];

fn mount(kind: &CStr) -> Outcome {
    harm(
        SYS_mount,
        [address(kind), address(c"/volume"), address(kind), 0, 0],
    )
}

fn remount(flags: c_ulong) -> Outcome {
    harm(
        SYS_mount,
        [address(c"/"), address(c"/volume"), 0, flags as usize, 0],
    )
}

fn not_there() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

/// The classic: a folder that stays open while the root is moved below it is outside.
fn leave_by_chroot(target: &Target) -> Outcome {
    let outside = fs::File::open("/")?;
    fs::create_dir_all("/volume/below")?;
    call(SYS_chroot, [address(c"/volume/below")])?;
    call(SYS_fchdir, [outside.as_raw_fd() as usize])?;
    fs::read(format!("../../../../..{}", target.file)).map(drop)
}

fn unrestricted_mount(option: &str) -> Outcome {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let lacks = |line: &&str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let is_device = fields[1].starts_with("/dev/") && fields[1] != "/dev/shm";
        let is_devices = fields[1].starts_with("/dev");
        // The devices themselves are mounted to be used.
        let is_exempt = is_device || (is_devices && option == "nodev");
        !is_exempt && !fields[3].split(',').any(|has| has == option)
    };
    match mounts.lines().find(lacks) {
        Some(line) => {
            println!("{line}");
            Ok(())
        }
        None => nothing(format!("all have {option}")),
    }
}

fn make_device(kind: mode_t, major: u32, minor: u32) -> Outcome {
    harm(
        SYS_mknod,
        [
            address(c"/volume/device"),
            (kind | 0o666) as usize,
            makedev(major, minor) as usize,
        ],
    )
}

/// The handle of the root folder has the same number on most file systems.
fn open_by_handle(_: &Target) -> Outcome {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        inode: [u32; 2],
    }
    let handle = Handle {
        bytes: 8,
        kind: 1,
        inode: [2, 0],
    };
    let volume = fs::File::open(VOLUME)?;
    harm(
        SYS_open_by_handle_at,
        [volume.as_raw_fd() as usize, address(&handle), 0],
    )
}
