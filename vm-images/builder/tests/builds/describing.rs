//! What a Dockerfile says about its image.

use crate::place::{Item, Place};

#[tokio::test]
async fn the_configuration_is_dockers() {
    let place = Place::new();
    let contents = place
        .contents(
            "ENV a=1 b=2\nENV a=3\nLABEL maker=\"some one\" a=b\nLABEL a=c\nVOLUME /in /out/deep\nWORKDIR /work\n\
             WORKDIR here\nENTRYPOINT [\"/program\", \"-v\"]\nCMD one two\nCMD [\"x\"]",
        )
        .await;
    let configuration = contents.configuration;
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(configuration.env, [path, "b=2", "a=3"]);
    assert!(configuration.volumes.keys().eq(["/in", "/out/deep"]));
    assert_eq!(configuration.working_dir, "/work/here");
    assert_eq!(configuration.entrypoint.unwrap(), ["/program", "-v"]);
    assert_eq!(configuration.cmd.unwrap(), ["x"]);
    let labels = [("a", "c"), ("maker", "some one")];
    assert!(
        configuration
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .eq(labels)
    );
    let folders = ["in", "out", "out/deep", "work", "work/here"];
    assert_eq!(
        contents.items,
        folders
            .map(|path| (path.to_owned(), Item::Folder(0o755)))
            .into()
    );
}

#[tokio::test]
async fn an_empty_image_is_an_image() {
    let contents = Place::new().contents("").await;
    assert!(contents.items.is_empty());
    assert!(contents.configuration.entrypoint.is_none() && contents.configuration.cmd.is_none());

    let contents = Place::new().contents("ENV PATH=/only\nCMD run me").await;
    assert_eq!(contents.configuration.env, ["PATH=/only"]);
    assert_eq!(
        contents.configuration.cmd.unwrap(),
        ["/bin/sh", "-c", "run me"]
    );
}
