//! A service of instances that answer each other.

use std::{
    env,
    sync::{Arc, Mutex},
};

use async_stream::try_stream;
use futures::Stream;
use requestor::{Payload, Script, Service, WorkContext, vm};
use tokio::sync::watch;

/// Each instance serves, and the second fetches from the first, as often as it is told.
pub(crate) struct Peer {
    pub(crate) fetches: watch::Receiver<Option<Fetch>>,
    pub(crate) said: Arc<Mutex<Vec<String>>>,
    pub(crate) heard: watch::Sender<usize>,
}

/// What the second instance is to fetch.
#[derive(Clone, Debug)]
pub(crate) struct Fetch {
    pub(crate) bytes: u64,
}

impl Service for Peer {
    async fn get_payload() -> requestor::Result<Payload> {
        Ok(vm::image_file(env::var("IMAGE")?)
            .min_mem_gib(0.5)
            .payload())
    }

    fn start(&mut self, _: &WorkContext) -> impl Stream<Item = requestor::Result<Script>> {
        try_stream! {
            let mut script = Script::new();
            script.deploy();
            script.start();
            script.run("/bin/sh", ["-c", "/bin/tool serve >/dev/null 2>&1 &"]);
            yield script;
        }
    }

    fn run(&mut self, ctx: &WorkContext) -> impl Stream<Item = requestor::Result<Script>> {
        try_stream! {
            let is_second = ctx.network_node().is_some_and(|node| node.name() == "peer-2");
            loop {
                if self.fetches.changed().await.is_err() || !is_second {
                    std::future::pending::<()>().await;
                }
                let Some(fetch) = self.fetches.borrow_and_update().clone() else { continue };
                let mut script = Script::new();
                let fetched = script.run("/bin/tool", ["fetch", "peer-1", &fetch.bytes.to_string()]);
                yield script;
                let fetched = fetched.await?;
                let text = fetched.text()?.trim().to_owned();
                self.said.lock().unwrap().push(text);
                self.heard.send_modify(|count| *count += 1);
            }
        }
    }
}
