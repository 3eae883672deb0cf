//! What a command is, and what it cannot reach.

use exeunit::sandbox::{Command, Sandbox, SandboxConfig};

use crate::fixture::{capture, config, devices, overlay, programs, sh, start, stdout};

#[tokio::test]
async fn a_command_has_no_privileges() {
    let image = programs();
    let sandbox = start(&image).await;
    let status = stdout(&sandbox, "cat /proc/self/status").await;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {status}"))
            .trim()
    };
    for capabilities in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(capabilities), "0000000000000000", "{capabilities}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Seccomp:"), "2");
    assert_eq!(field("Uid:"), "0\t0\t0\t0");
    assert_eq!(
        field("Groups:"),
        if is_root() { "" } else { field("Groups:") }
    );
}

#[tokio::test]
async fn a_command_gets_exactly_what_it_is_given() {
    let image = programs();
    let sandbox = start(&image).await;
    let command = |program: &str, args: &[&str]| Command {
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env: [
            ("B".to_owned(), "2".to_owned()),
            ("A".to_owned(), "1 1".to_owned()),
        ]
        .into(),
        working_dir: "/bin".to_owned(),
        ..Command::new(program)
    };
    let cases = [
        (command("/bin/env", &[]), "A=1 1\nB=2\n"),
        (command("/bin/sh", &["-c", "pwd; umask"]), "/bin\n0022\n"),
        (
            command("/bin/readlink", &["/proc/self/fd/0"]),
            "/dev/null\n",
        ),
        // The fourth is the folder that is being listed.
        (command("/bin/ls", &["/proc/self/fd"]), "0\n1\n2\n3\n"),
        (command("/bin/sh", &["-c", "cat"]), ""),
    ];
    for (command, expected) in cases {
        let program = command.clone();
        let captured = capture(sandbox.run(command).await.expect("it runs")).await;
        assert_eq!(captured.stdout, expected, "{program:?} {}", captured.stderr);
    }
}

#[tokio::test]
async fn a_sandbox_sees_only_itself() {
    let image = programs();
    let sandbox = Sandbox::start(SandboxConfig {
        hostname: "alone".to_owned(),
        ..config(overlay(&image))
    });
    let sandbox = sandbox.await.expect("a sandbox");
    assert_eq!(
        stdout(&sandbox, "cat /proc/sys/kernel/hostname").await,
        "alone\n"
    );
    assert_eq!(
        stdout(
            &sandbox,
            "cd /proc; set -- [0-9]*; [ \"$*\" = \"1 $$\" ] && echo alone"
        )
        .await,
        "alone\n"
    );
    assert_eq!(
        stdout(&sandbox, "ls /..").await,
        stdout(&sandbox, "ls /").await
    );
    assert_eq!(devices(&sandbox).await, ["lo"]);
    let addresses = stdout(&sandbox, "cat /proc/net/fib_trie").await;
    assert!(addresses.contains("127.0.0.1"), "lo is up: {addresses}");
    let listing = stdout(&sandbox, "ls /dev").await;
    assert_eq!(
        listing,
        "fd\nfull\nnull\nrandom\nshm\nstderr\nstdin\nstdout\nurandom\nzero\n"
    );
    let mounts = stdout(&sandbox, "cat /proc/self/mounts").await;
    assert_eq!(mounts.lines().count(), 1 + 1 + 1 + 5 + 1, "{mounts}");
}

#[tokio::test]
async fn the_agent_cannot_be_touched() {
    let image = programs();
    let sandbox = start(&image).await;
    for forbidden in [
        "cat /proc/1/environ",
        "readlink /proc/1/fd/0",
        "cat /proc/1/maps",
        "readlink /proc/1/exe",
        "ls /proc/1/root/",
        "cat /proc/1/mem",
    ] {
        let captured = sh(&sandbox, forbidden).await;
        assert!(!captured.status.is_success(), "{forbidden}: {captured:?}");
        assert_eq!(captured.stdout, "", "{forbidden}");
    }
    stdout(
        &sandbox,
        "kill -KILL 1; kill -TERM 1; kill -STOP 1; kill -CHLD 1",
    )
    .await;
    assert_eq!(stdout(&sandbox, "echo alive").await, "alive\n");
}

#[tokio::test]
async fn where_memory_runs_out_commands_go_before_the_agent() {
    let image = programs();
    let sandbox = start(&image).await;
    let scores = "cat /proc/self/oom_score_adj /proc/1/oom_score_adj";
    assert_eq!(stdout(&sandbox, scores).await, "1000\n500\n");
}

#[tokio::test]
async fn orphans_are_reaped() {
    let image = programs();
    let sandbox = start(&image).await;
    let orphan = stdout(&sandbox, "(exec 1>&-; sh -c 'exit 1') & echo $!").await;
    let orphan = orphan.trim();
    stdout(
        &sandbox,
        &format!("while [ -e /proc/{orphan} ]; do :; done"),
    )
    .await;
}

#[tokio::test]
async fn kernel_settings_cannot_be_written() {
    let image = programs();
    let sandbox = start(&image).await;
    for file in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/hostname",
        "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger",
        "/proc/self/uid_map",
        "/proc/self/oom_score_adj",
    ] {
        let captured = sh(&sandbox, &format!("echo -1 > {file}")).await;
        assert!(!captured.status.is_success(), "{file}: {captured:?}");
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
