//! Static programs of cargo packages.

use std::{fs, path::PathBuf, process::Command};

use builder::{CargoError, Event, static_programs};

use crate::place::{Place, Recorder, SANDBOX, chain, until};

/// A package of one program, in a workspace of its own.
fn package(place: &Place, main: &str) -> PathBuf {
    place.write(
        "package/Cargo.toml",
        "[package]\nname = \"hello\"\nedition = \"2024\"\n[workspace]\n[profile.image]\ninherits = \"release\"\n",
    );
    place.write("package/src/main.rs", main);
    place.context().join("package")
}

/// Whether a program of 64 bits asks the kernel for a dynamic loader.
fn needs_loader(elf: &[u8]) -> bool {
    const PT_INTERP: usize = 3;
    let number = |at: usize, size: usize| {
        let bytes = elf[at..at + size].iter().rev();
        bytes.fold(0, |number, byte| (number << 8) | usize::from(*byte))
    };
    let (headers, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    (0..count).any(|header| number(headers + header * size, 4) == PT_INTERP)
}

#[tokio::test]
async fn programs_are_compiled_static_and_once() {
    let place = Place::new();
    let package = package(&place, "fn main() { println!(\"hello\"); }");
    let (first, second) = (Recorder::default(), Recorder::default());
    let folder = static_programs(&package, &first).await.unwrap();
    assert!(
        folder.ends_with("static/x86_64-unknown-linux-gnu/image"),
        "{}",
        folder.display()
    );

    let program = folder.join("hello");
    let output = Command::new(&program).env_clear().output().unwrap();
    assert_eq!(output.stdout, b"hello\n");
    assert!(!needs_loader(&fs::read(&program).unwrap()));
    assert!(needs_loader(&fs::read(SANDBOX).unwrap()), "this one does");

    let written = || fs::metadata(&program).unwrap().modified().unwrap();
    let before = written();
    assert_eq!(static_programs(&package, &second).await.unwrap(), folder);
    assert_eq!(written(), before, "it was compiled again");
    let compiled = Event::Compiled {
        package: "package".into(),
    };
    assert!(
        matches!(first.events()[0], Event::Compiling { .. }),
        "{:?}",
        first.events()
    );
    assert_eq!(first.events().last(), Some(&compiled));
    // What it says before is of no interest: that it waits for another cargo, say.
    assert_eq!(second.events().last(), Some(&compiled));
}

#[tokio::test]
async fn cargos_complaint_is_passed_on() {
    let place = Place::new();
    let package = package(&place, "fn main() { nothing }");
    let recorder = Recorder::default();
    let error = static_programs(&package, &recorder).await.unwrap_err();
    let message = chain(&error);
    let start = format!(
        "cargo cannot compile the programs of {} (exit status: 101):\n",
        package.display()
    );
    assert!(message.starts_with(&start), "{message}");
    assert!(message.contains("cannot find value `nothing`"), "{message}");
    assert!(message.contains("src/main.rs:1:13"), "{message}");
    assert!(!message.contains("Building ["), "{message}");
    assert_eq!(recorder.events().last(), Some(&Event::Failed));
}

#[tokio::test]
async fn what_is_no_package_of_programs_is_refused() {
    let place = Place::new();
    let error = static_programs(place.context(), &()).await.unwrap_err();
    assert!(matches!(error, CargoError::Failed { .. }));
    assert!(chain(&error).contains("context/Cargo.toml"), "{error}");

    let package = package(&place, "");
    fs::rename(package.join("src/main.rs"), package.join("src/lib.rs")).unwrap();
    let error = static_programs(&package, &()).await.unwrap_err();
    assert!(matches!(error, CargoError::NoPrograms(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cargo_ends_with_whoever_waits_for_it() {
    let place = Place::new();
    let package = package(&place, "fn main() {}");
    let pid_file = place.context().join("pid");
    let script = format!(
        "fn main() {{ std::fs::write({pid_file:?}, std::process::id().to_string()).unwrap(); loop {{ std::thread::park() }} }}"
    );
    place.write("package/build.rs", &script);
    let pid = || {
        fs::read_to_string(&pid_file)
            .ok()
            .and_then(|pid| pid.parse::<u32>().ok())
    };
    tokio::select! {
        outcome = static_programs(&package, &()) => panic!("{outcome:?}"),
        () = until("the build script at work", || pid().is_some()) => {}
    }
    let process = format!("/proc/{}/stat", pid().unwrap());
    let ended = || fs::read_to_string(&process).map_or(true, |stat| stat.contains(") Z "));
    until("the end of the build script", ended).await;
}
