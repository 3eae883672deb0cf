//! Dockerfiles that cannot be built at all.

use std::{fs, process::Command};

use builder::Build;

use crate::place::{BUILD_IMAGE, Place, chain};

#[test]
fn a_dockerfile_is_refused_with_its_line() {
    let place = Place::new();
    let path = place.context().join("Dockerfile");
    for (text, why) in [
        ("FROM debian AS\n", ":1: FROM takes an image"),
        (
            "# hello\nFROM scratch\n\nHEALTHCHECK NONE\n",
            ":4: HEALTHCHECK is not built in",
        ),
        (
            "FROM scratch\nCOPY a \\\n  --from=x b c\n",
            ":2: with more than one source",
        ),
        ("FROM scratch\nRUN []\n", ":2: RUN names no program"),
    ] {
        fs::write(&path, text).unwrap();
        let error = Build::open(&path).unwrap_err();
        assert_eq!(
            chain(&error).find(&format!("{}{why}", path.display())),
            Some(0),
            "{error}"
        );
    }
    fs::remove_file(&path).unwrap();
    let error = chain(&Build::open(&path).unwrap_err());
    assert!(
        error.contains(&format!(
            "cannot read the Dockerfile {}: No such file",
            path.display()
        )),
        "{error}"
    );
}

#[test]
fn the_program_prints_hash_and_path_or_one_error() {
    let place = Place::new();
    place.write("a.txt", "a");
    place.write("Dockerfile", "FROM scratch\nCOPY --from=./x a.txt /");
    let run = |arguments: &[&str]| {
        let output = Command::new(BUILD_IMAGE)
            .args(arguments)
            .current_dir(place.context())
            .env("XDG_CACHE_HOME", place.folder().join("user"))
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, stdout, stderr) = run(&["--build-context", "./x=."]);
    assert_eq!(code, Some(0), "{stderr}");
    let (hash, path) = stdout.trim_end().split_once(' ').unwrap();
    let images = place.folder().join("user/kiln/images");
    assert!(path.starts_with(images.to_str().unwrap()), "{path}");
    assert_eq!(
        gvmi::Hash::of_file(path.as_ref()).unwrap().to_string(),
        hash
    );
    let said: Vec<_> = stderr.lines().collect();
    let built = format!("built the image {path}");
    assert_eq!(
        said,
        [
            "step 1 of 1: COPY --from=./x a.txt /",
            "packing the image",
            &built
        ]
    );

    let again = run(&["-f", "Dockerfile", "--build-context", "./x=."]);
    assert_eq!(
        again,
        (Some(0), stdout.clone(), format!("found the image {path}\n"))
    );

    let (code, stdout, stderr) = run(&[]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(
        stderr,
        "build-image: ./Dockerfile:2: COPY --from=./x a.txt /: there is no image ./x\n"
    );
    let (code, _, stderr) = run(&["--build-context", "x"]);
    assert_eq!(code, Some(2), "{stderr}");
}
