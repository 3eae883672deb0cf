//! Dockerfiles of several stages, arguments, users, and what is left out.

use builder::Event;
use gvmi::Owner;

use crate::place::{Item, Place, Recorder};

fn place() -> Place {
    let place = Place::new();
    place.programs(&["sh", "cat", "id", "mkdir", "ln", "chmod"]);
    place.write("a.txt", "a");
    place
}

#[tokio::test]
async fn stages_begin_with_each_other_and_copy_from_each_other() {
    let place = place();
    let contents = place
        .contents_of_all(
            "FROM scratch AS tools\nCOPY rootfs /\nENV of=tools\nWORKDIR /work\n\
             FROM tools AS Made\nRUN echo made of $of >made; ln -s /work/made /link; mkdir -p /d/e; echo e >/d/e/f\n\
             FROM scratch\nCOPY --from=made /link /work/ma?e /out/\nCOPY --from=1 d /d\nCOPY --from=TOOLS /bin/cat /cat",
        )
        .await;
    assert_eq!(contents.text("out/link"), "made of tools\n");
    assert_eq!(contents.text("out/made"), "made of tools\n");
    assert_eq!(contents.text("d/e/f"), "e\n");
    assert_eq!(contents.files(), ["cat", "d/e/f", "out/link", "out/made"]);
    assert!(!contents.configuration.env.contains(&"of=tools".to_owned()));
}

#[tokio::test]
async fn a_stage_does_not_change_the_one_that_it_begins_with() {
    let place = place();
    let contents = place
        .contents_of_all(
            "FROM scratch AS one\nCOPY rootfs /\nCOPY a.txt /\nRUN chmod 4750 /a.txt\n\
             FROM one AS two\nRUN echo two >/a.txt\n\
             FROM one\nCOPY --from=two /a.txt /two.txt",
        )
        .await;
    assert_eq!(contents.text("a.txt"), "a");
    assert_eq!(contents.text("two.txt"), "two\n");
}

#[tokio::test]
async fn what_the_image_does_not_need_is_not_built() {
    let place = place();
    let text = "FROM scratch AS broken\nRUN [\"/none\"]\nFROM scratch AS good\nCOPY a.txt /\nFROM good AS last\nCOPY a.txt /b";
    let recorder = Recorder::default();
    let image = place.build_all(text).run(&recorder).await.unwrap();
    assert_eq!(place.contents_of(&image).files(), ["a.txt", "b"]);
    let steps: Vec<_> = recorder
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Step {
                number,
                total,
                text,
            } => Some((number, total, text)),
            _ => None,
        })
        .collect();
    let step = |number, text: &str| (number, 2, text.to_owned());
    assert_eq!(steps, [step(1, "COPY a.txt /"), step(2, "COPY a.txt /b")]);

    for target in ["good", "GOOD", "1"] {
        let image = place.build_all(text).target(target).run(&()).await.unwrap();
        assert_eq!(place.contents_of(&image).files(), ["a.txt"], "{target}");
    }
    let missing = place.build_all(text).target("none").run(&()).await;
    assert_eq!(
        place.shortened(&missing.unwrap_err()),
        "context/Dockerfile has no stage none"
    );
}

#[tokio::test]
async fn arguments_are_the_builds_and_not_the_images() {
    let place = place();
    let text = "ARG what=nothing\nFROM scratch\nCOPY rootfs /\nARG what\nARG other=more\nENV kept=$what\n\
                RUN echo $what $other $kept >/said";
    let said = async |build: builder::Build| {
        let image = build.run(&()).await.unwrap();
        let contents = place.contents_of(&image);
        let env = contents.configuration.env.clone();
        (contents.text("said").to_owned(), env[1..].to_vec())
    };
    let (text_of_default, env) = said(place.build_all(text)).await;
    assert_eq!(text_of_default, "nothing more nothing\n");
    assert_eq!(env, ["kept=nothing"]);
    let (text_of_given, env) = said(place.build_all(text).argument("what", "it")).await;
    assert_eq!(text_of_given, "it more it\n");
    assert_eq!(env, ["kept=it"]);
    let unknown = place.build_all(text).argument("wat", "it").run(&()).await;
    assert_eq!(
        place.shortened(&unknown.unwrap_err()),
        "context/Dockerfile has no ARG wat"
    );
}

#[tokio::test]
async fn users_own_what_they_are_given_and_what_they_make() {
    let place = place();
    place.write(
        "rootfs/etc/passwd",
        "root:x:0:0::/root:/bin/sh\nme:x:1000:1001::/home/me:\n",
    );
    place.write("rootfs/etc/group", "root:x:0:\nus:x:50:me\n");
    let text = "FROM scratch\nCOPY rootfs /\nCOPY --chown=me a.txt /mine/\nCOPY --chown=7:us a.txt /ours\nWORKDIR /new\n\
                RUN echo $HOME >/root-home\nUSER me\nRUN echo $HOME >home; echo more >>/ours";
    let image = place.build_all(text).run(&()).await.unwrap();
    let owner = |path: &str| {
        let Owner { user, group } = place.attributes(&image, path).owner;
        (user, group)
    };
    assert_eq!(owner("mine/a.txt"), (1000, 1001));
    assert_eq!(owner("ours"), (7, 50));
    assert_eq!(owner("new/home"), (1000, 1001));
    assert_eq!(owner("new"), (0, 0));
    assert_eq!(owner("root-home"), (0, 0));
    let contents = place.contents_of(&image);
    assert_eq!(contents.text("root-home"), "/root\n");
    assert_eq!(contents.text("new/home"), "/home/me\n");
    assert_eq!(contents.configuration.user.as_deref(), Some("me"));

    for (line, why) in [
        (
            "COPY --chown=you a.txt /x",
            "there is no user you in /etc/passwd of the image",
        ),
        (
            "COPY --chown=me:them a.txt /x",
            "there is no group them in /etc/group of the image",
        ),
        (
            "USER you\nRUN [\"/bin/id\"]",
            "there is no user you in /etc/passwd of the image",
        ),
    ] {
        let failure = place
            .failure_of_all(&format!("FROM scratch\nCOPY rootfs /\n{line}"))
            .await;
        assert!(failure.contains(why), "{failure}");
    }
}

#[tokio::test]
async fn shells_can_be_chosen() {
    let place = place();
    let contents = place
        .contents_of_all(
            "FROM scratch\nCOPY rootfs /\nSHELL [\"/bin/sh\", \"-e\", \"-c\"]\nRUN echo $- >/flags\nCMD echo hello",
        )
        .await;
    assert!(contents.text("flags").contains('e'));
    let command = contents.configuration.cmd.unwrap();
    assert_eq!(command, ["/bin/sh", "-e", "-c", "echo hello"]);
}

#[tokio::test]
async fn what_dockerignore_names_is_not_there() {
    let place = place();
    place.write("sub/keep.md", "keep");
    place.write("sub/drop.md", "drop");
    place.write("sub/deep/x.log", "");
    place.write("sub/deep/y", "y");
    place.write("secret", "secret");
    place.write(
        ".dockerignore",
        "# private\nsecret\n**/*.log\nsub/*.md\n!sub/keep.md\n",
    );
    let contents = place
        .contents_of_all("FROM scratch\nCOPY sub /sub\nCOPY s* /s/")
        .await;
    assert_eq!(
        contents.files(),
        ["s/deep/y", "s/keep.md", "sub/deep/y", "sub/keep.md"]
    );
    let failure = place.failure_of_all("FROM scratch\nCOPY secret /").await;
    assert!(
        failure.contains("there is no secret in the context"),
        "{failure}"
    );
    assert!(
        failure.contains("or .dockerignore leaves it out"),
        "{failure}"
    );

    // What is said of this Dockerfile alone goes over it.
    place.write("b.txt", "b");
    place.write("Dockerfile.dockerignore", "a.txt\n");
    let contents = place
        .contents_of_all("FROM scratch\nCOPY secret *.txt /")
        .await;
    assert_eq!(contents.files(), ["b.txt", "secret"]);
    place.write("Dockerfile.dockerignore", "a\n[\n");
    let failure = place.failure_of_all("FROM scratch\nCOPY secret /").await;
    assert!(
        failure.contains("Dockerfile.dockerignore: line 2: the pattern ["),
        "{failure}"
    );
}

#[tokio::test]
async fn an_ignored_folder_with_an_exception_is_copied_in_part() {
    let place = Place::new();
    place.write("build/out/program", "p");
    place.write("build/tmp/x", "x");
    place.write(".dockerignore", "build\n!build/out\n");
    let contents = place.contents("COPY build /b").await;
    let items = contents.items.into_iter().collect::<Vec<_>>();
    assert_eq!(
        items,
        [
            ("b".to_owned(), Item::Folder(0o755)),
            ("b/out".to_owned(), Item::Folder(0o755)),
            (
                "b/out/program".to_owned(),
                Item::File(0o644, "p".to_owned())
            ),
        ]
    );
}
