//! `COPY`, as Docker has it.

use std::fs;

use crate::place::{Item, Place, chain};

fn place() -> Place {
    let place = Place::new();
    place.write("a.txt", "a");
    place.write_with_mode("b.txt", 0o755, "b");
    place.write("folder/c.txt", "c");
    place.write("folder/sub/d.txt", "d");
    place.link("folder/link", "../a.txt");
    place.link("to a", "a.txt");
    place
}

#[tokio::test]
async fn sources_go_where_docker_puts_them() {
    let cases: [(&str, &[&str]); 18] = [
        ("COPY a.txt /", &["a.txt"]),
        ("COPY a.txt /x", &["x"]),
        ("COPY a.txt x/y/", &["x/y/a.txt"]),
        ("COPY ./a.txt /b.txt /x/", &["x/a.txt", "x/b.txt"]),
        ("COPY folder/../a.txt /x", &["x"]),
        ("COPY *.txt /x/", &["x/a.txt", "x/b.txt"]),
        ("COPY [b-z].txt /x", &["x"]),
        ("COPY f*/*/*.txt /", &["d.txt"]),
        ("COPY folder /x", &["x/c.txt", "x/link", "x/sub/d.txt"]),
        (
            "COPY folder/ a.txt /",
            &["a.txt", "c.txt", "link", "sub/d.txt"],
        ),
        ("COPY fold* /x/", &["x/c.txt", "x/link", "x/sub/d.txt"]),
        (
            "COPY . /x",
            &[
                "x/a.txt",
                "x/b.txt",
                "x/folder/c.txt",
                "x/folder/link",
                "x/folder/sub/d.txt",
                "x/to a",
            ],
        ),
        (
            "WORKDIR /w\nCOPY a.txt .\nCOPY b.txt c",
            &["w/a.txt", "w/c"],
        ),
        // What is a folder takes a file in, slash or not.
        (
            "COPY folder /x\nCOPY a.txt /x",
            &["x/a.txt", "x/c.txt", "x/link", "x/sub/d.txt"],
        ),
        ("COPY [\"to a\", \"/x/\"]", &["x/to a"]),
        (
            "ENV name=a to=/there\nCOPY ${name}.txt $to/",
            &["there/a.txt"],
        ),
        ("COPY a.txt /x/../../y", &["y"]),
        ("COPY --from=other only.txt /", &["only.txt"]),
    ];
    for (text, files) in cases {
        let place = place();
        let other = place.folder().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("only.txt"), "").unwrap();
        let build = place.build(text).named_context("other", other);
        let image = build
            .run(&())
            .await
            .unwrap_or_else(|error| panic!("{text}: {}", chain(&error)));
        assert_eq!(place.contents_of(&image).files(), files, "{text}");
    }
}

#[tokio::test]
async fn permissions_and_links_are_kept() {
    let place = place();
    place.write_with_mode("folder/private", 0o600, "");
    place.write_with_mode("folder/setuid", 0o4755, "");
    fs::set_permissions(
        place.context().join("folder/sub"),
        std::os::unix::fs::PermissionsExt::from_mode(0o750),
    )
    .unwrap();
    let contents = place
        .contents("COPY folder /x\nCOPY [\"to a\", \"b.txt\", \"/y/\"]")
        .await;
    let file = |mode, text: &str| Item::File(mode, text.to_owned());
    let expected = [
        ("x", Item::Folder(0o755)),
        ("x/c.txt", file(0o644, "c")),
        ("x/link", Item::Link("../a.txt".into())),
        ("x/private", file(0o600, "")),
        // The image has it; unpacking takes it away.
        ("x/setuid", file(0o755, "")),
        ("x/sub", Item::Folder(0o750)),
        ("x/sub/d.txt", file(0o644, "d")),
        ("y", Item::Folder(0o755)),
        ("y/b.txt", file(0o755, "b")),
        // A source that is a link is what it leads to.
        ("y/to a", file(0o644, "a")),
    ];
    let expected = expected.map(|(path, item)| (path.to_owned(), item)).into();
    assert_eq!(contents.items, expected);

    let contents = place.contents("COPY --chmod=0700 folder a.txt /x/").await;
    assert_eq!(contents.items["x"], Item::Folder(0o755));
    assert_eq!(contents.items["x/sub"], Item::Folder(0o700));
    assert_eq!(contents.items["x/a.txt"], file(0o700, "a"));
    assert_eq!(contents.items["x/link"], Item::Link("../a.txt".into()));
}

#[tokio::test]
async fn later_files_take_the_place_of_earlier_ones() {
    let place = place();
    let contents = place
        .contents("COPY folder /x\nCOPY b.txt /x/c.txt\nCOPY a.txt /x/link\nCOPY folder/sub /x")
        .await;
    assert_eq!(contents.items["x/c.txt"], Item::File(0o755, "b".into()));
    assert_eq!(contents.items["x/link"], Item::File(0o644, "a".into()));
    assert_eq!(
        contents.files(),
        ["x/c.txt", "x/d.txt", "x/link", "x/sub/d.txt"]
    );
}

#[tokio::test]
async fn links_in_the_image_lead_nowhere_else() {
    let place = place();
    let outside = place.folder().join("outside");
    fs::create_dir(&outside).unwrap();
    place.link("links/absolute", outside.to_str().unwrap());
    place.link("links/above", "../../../../../../../..");
    place.link("links/here", "there");
    place.write("links/there/file", "");
    let text = "COPY links /\nCOPY a.txt /here/\nCOPY a.txt /above/x\nCOPY folder /above/y";
    let contents = place.contents(text).await;
    assert_eq!(contents.text("there/a.txt"), "a");
    assert_eq!(contents.text("x"), "a");
    assert_eq!(contents.text("y/c.txt"), "c");

    // In the image, there is nothing where the absolute link leads.
    let failure = place
        .build("COPY links /\nCOPY a.txt /absolute/x")
        .run(&())
        .await
        .unwrap_err();
    assert!(
        place
            .shortened(&failure)
            .contains("/absolute/x in the image: File exists"),
        "{failure:?}"
    );
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[tokio::test]
async fn what_cannot_be_copied_is_named() {
    let place = place();
    place.link("out", "/etc/hostname");
    place.link("dangling", "nowhere");
    place.link("folder/up", "..");
    let cases = [
        (
            "COPY none /",
            "COPY none /: there is no none in the context context",
        ),
        (
            "COPY *.md /",
            "COPY *.md /: there is no *.md in the context context",
        ),
        (
            "COPY folder/c.txt/x /",
            "there is no folder/c.txt/x in the context context",
        ),
        (
            "COPY ../context/a.txt /",
            "../context/a.txt leads out of the context context",
        ),
        (
            "COPY folder/../../x /",
            "folder/../../x leads out of the context context",
        ),
        ("COPY out /", "out leads out of the context context"),
        ("COPY o?t /", "o?t leads out of the context context"),
        (
            "COPY dangling /",
            "cannot read context/dangling: No such file",
        ),
        ("COPY a[ /", "the pattern a[ makes no sense"),
        ("COPY --from=./other a /", "there is no image "),
        (
            "COPY a.txt /x\nCOPY folder /x",
            "cannot copy context/folder to /x in the image: Not a directory",
        ),
        (
            "COPY a.txt /x\nCOPY b.txt /x/y",
            "cannot copy context/b.txt to /x/y in the image: Not a directory",
        ),
        ("COPY folder /\nCOPY a.txt /a/\nCOPY a.txt /sub/../", ""),
        (
            "COPY folder /x\nWORKDIR /x/c.txt",
            "cannot create the folder /x/c.txt in the image: Not a directory",
        ),
        (
            "COPY folder /x\nVOLUME /x/c.txt/in",
            "cannot create the folder /x/c.txt/in in the image: Not a directory",
        ),
    ];
    for (text, why) in cases {
        if why.is_empty() {
            place.contents(text).await;
            fs::remove_dir_all(place.cache()).unwrap();
            continue;
        }
        let failure = place.failure(text).await;
        let line = text.lines().count() + 1;
        assert!(
            failure.starts_with(&format!("context/Dockerfile:{line}: ")),
            "{failure}"
        );
        assert!(failure.contains(why), "{failure:?} does not say {why:?}");
    }
}

#[tokio::test]
async fn special_files_are_refused() {
    let place = place();
    let pipe = place.context().join("folder/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let failure = place.failure("COPY folder /x").await;
    assert!(
        failure.contains("context/folder/pipe is neither a file nor a folder"),
        "{failure}"
    );

    fs::remove_dir_all(place.context()).unwrap();
    let failure = place.failure("COPY a.txt /x").await;
    assert!(failure.contains("the context "), "{failure}");
    assert!(
        failure.contains("context cannot be used: No such file"),
        "{failure}"
    );
}
