//! A node whose exe-units are played by the test.

use std::path::{Path, PathBuf};

use exeunit::Program;
use node::{LocalNode, LocalNodeBuilder, Prices, Provider};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::{Pid, Signal, kill_process},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::unix::pipe,
};

use crate::{peer::Peer, requestor::Requestor};

/// A node, its only requestor, and what its exe-units say when they are started.
pub(crate) struct Scene {
    pub(crate) node: LocalNode,
    pub(crate) requestor: Requestor,
    pub(crate) folder: TempDir,
    started: Lines<BufReader<pipe::Receiver>>,
}

/// An exe-unit's process.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) activity: String,
    pub(crate) pid: i32,
}

impl Started {
    pub(crate) fn kill(&self) {
        kill_process(Pid::from_raw(self.pid).unwrap(), Signal::KILL).unwrap();
    }
}

impl Scene {
    /// With one provider, `p`, that wants 1 for the start and 0.5 for a second.
    pub(crate) async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    pub(crate) async fn start_with(
        change: impl FnOnce(LocalNodeBuilder) -> LocalNodeBuilder,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("started");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, &pipe, FileType::Fifo, mode, 0).unwrap();
        let started = pipe::OpenOptions::new()
            .read_write(true)
            .open_receiver(&pipe)
            .unwrap();
        let prices = Prices {
            start: 1.0,
            second: 0.5,
            cpu_second: 0.0,
        };
        let builder = LocalNode::builder()
            .providers([Provider::new("p").prices(prices)])
            .data_folder(folder.path())
            .cache_folder(folder.path().join("cache"))
            .exe_unit(Program::at(script("exe-unit.sh")));
        let node = change(builder).start().await.unwrap();
        Self {
            requestor: Requestor::of(&node),
            node,
            folder,
            started: BufReader::new(started).lines(),
        }
    }

    /// The next exe-unit that is started.
    pub(crate) async fn started(&mut self) -> Started {
        let line = self.started.next_line().await.unwrap().unwrap();
        let (activity, pid) = line.split_once(' ').unwrap();
        Started {
            activity: activity.to_owned(),
            pid: pid.parse().unwrap(),
        }
    }

    /// Where the bus is.
    pub(crate) fn bus(&self) -> PathBuf {
        self.folder.path().join("bus/socket")
    }

    /// Speaks for an exe-unit, which is ready for its first script.
    pub(crate) async fn speak_for(&self, started: &Started) -> Peer {
        let mut peer = Peer::connect(&self.bus()).await;
        let address = format!("/public/exeunit/{}", started.activity);
        peer.register(&address).await;
        peer.report_state(&started.activity, "Initialized").await;
        peer
    }

    /// An activity under a new agreement, and who speaks for its exe-unit.
    pub(crate) async fn activity(&mut self) -> (String, Started, Peer) {
        let agreement = self.requestor.agree().await;
        let requestor = self.requestor.clone();
        let created = tokio::spawn({
            let agreement = agreement.clone();
            async move { requestor.create_activity(&agreement).await }
        });
        let started = self.started().await;
        let peer = self.speak_for(&started).await;
        assert_eq!(created.await.unwrap(), started.activity);
        (agreement, started, peer)
    }
}

/// What is started as an exe-unit.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/node")
        .join(name)
}
