//! Whatever is killed, and whenever: no process, mount or control group stays behind, and no folder that is nobody's to
//! remove. Volumes are in the work folder, which is the provider's; and half an image goes with the next exe-unit.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use libtest_mimic::{Failed, Trial};
use rustix::process::Pid;
use serde_json::json;

use crate::{
    activity::{Activity, PATIENCE, command, image_content, run},
    processes::{Watched, children, sandbox_mounts},
};

/// How far an activity is when something of it is killed.
#[derive(Clone, Copy, Debug)]
enum Stage {
    New,
    Deploying,
    Deployed,
    Started,
    Running,
}

/// What is killed: the exe-unit itself, or the first process below it, the second, and so on.
const VICTIMS: [&str; 5] = ["exe-unit", "launcher", "builder", "agent", "command"];

/// A test for each stage and each process that there is by then.
pub(crate) fn trials() -> Vec<Trial> {
    let stages = [
        (Stage::New, 1),
        (Stage::Deploying, 1),
        (Stage::Deployed, 1),
        (Stage::Started, 4),
        (Stage::Running, 5),
    ];
    let trial = |stage: Stage, victim: usize| {
        let name = VICTIMS[victim];
        Trial::test(
            format!("killing the {name} when {stage:?} leaves nothing"),
            move || {
                let mut outcome = Ok(());
                run(async || outcome = kill(stage, victim).await);
                outcome
            },
        )
    };
    let trials = stages
        .into_iter()
        .flat_map(|(stage, victims)| (0..victims).map(move |victim| trial(stage, victim)));
    trials.collect()
}

async fn kill(stage: Stage, victim: usize) -> Result<(), Failed> {
    let before = sandbox_mounts();
    let mut activity = reach(stage).await;
    let line = line_below(activity.pid());
    let groups: Vec<PathBuf> = line
        .iter()
        .flat_map(|&process| groups_of(process))
        .collect();
    let all: Vec<Watched> = line.iter().copied().map(Watched::new).collect();
    all.get(victim).ok_or("it is not there")?.kill();
    if victim == VICTIMS.len() - 1 {
        // Only the command has ended, and the rest is as it was.
        let results = activity.last_results().await;
        let message = results[0].message.as_deref();
        assert_eq!(message, Some("ExeScript command exited with code 137"));
        activity.assert_unharmed().await;
        activity.child.start_kill()?;
    }
    for process in &all {
        if !process.ends_within(PATIENCE.as_secs().cast_signed()) {
            return Err(format!("of {line:?} one has not ended").into());
        }
    }
    activity.child.wait().await?;
    for group in &groups {
        vanishes(group).await?;
    }
    only_volumes_are_left(&activity.work())?;
    if let Stage::Deploying = stage {
        let partial = activity.partial_image();
        assert!(partial.exists(), "it was killed before or after");
        let next = activity.next();
        vanishes(&partial).await?;
        next.ping().await;
    }
    match sandbox_mounts()
        .into_iter()
        .find(|mount| !before.contains(mount))
    {
        None => Ok(()),
        Some(mount) => Err(format!("a mount is left: {mount}").into()),
    }
}

/// Waits until something is not there any more.
async fn vanishes(path: &Path) -> Result<(), Failed> {
    let begin = Instant::now();
    while path.exists() {
        if begin.elapsed() > PATIENCE {
            return Err(format!("{} is left", path.display()).into());
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Looks into the work folder of an exe-unit that has been killed.
fn only_volumes_are_left(work: &Path) -> Result<(), Failed> {
    for entry in fs::read_dir(work)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name != "logs" && !name.starts_with("vol-") {
            return Err(format!("{name} is left in the work folder").into());
        }
    }
    Ok(())
}

async fn reach(stage: Stage) -> Activity {
    match stage {
        Stage::New => {
            let activity = Activity::start();
            activity.ping().await;
            activity
        }
        Stage::Deploying => {
            // Of an image that nobody has yet, and that is long on its way.
            let slowly = ["--image-bytes-per-second", "1"];
            let mut activity = Activity::of_image_with(image_content(), &slowly);
            activity.exec(json!([{"deploy": {}}])).await;
            let half = activity.partial_image().join("image.gvmi");
            while !half.exists() {
                activity.ping().await;
            }
            activity
        }
        Stage::Deployed => {
            let mut activity = Activity::start();
            activity.run(json!([{"deploy": {}}])).await;
            activity
        }
        Stage::Started => Activity::ready().await,
        Stage::Running => {
            let mut activity = Activity::ready().await;
            activity
                .exec(json!([command(&["hog", "processors"])]))
                .await;
            let full = activity.work().join("vol-0/full");
            while !full.exists() {
                activity.ping().await;
            }
            activity
        }
    }
}

/// A process, its first child, that one's first, and so on.
fn line_below(first: Pid) -> Vec<Pid> {
    std::iter::successors(Some(first), |&process| children(process).first().copied()).collect()
}

/// The folders of the control groups of sandboxes that a process is in.
fn groups_of(process: Pid) -> Vec<PathBuf> {
    let path = format!("/proc/{}/cgroup", process.as_raw_nonzero());
    let membership = fs::read_to_string(path).expect("it lives");
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    let hierarchies: Vec<&Path> = mounts
        .lines()
        .filter(|line| {
            line.split(' ')
                .nth(2)
                .is_some_and(|kind| kind.starts_with("cgroup"))
        })
        .filter_map(|line| line.split(' ').nth(1).map(Path::new))
        .collect();
    let paths = membership
        .lines()
        .filter_map(|line| line.splitn(3, ':').nth(2));
    paths
        .filter(|path| path.contains("kiln-"))
        .flat_map(|path| {
            let at = |hierarchy: &&Path| hierarchy.join(path.trim_start_matches('/'));
            hierarchies
                .iter()
                .map(at)
                .filter(|group| group.exists())
                .collect::<Vec<_>>()
        })
        .collect()
}
