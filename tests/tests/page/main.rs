//! The page of a node, as somebody sees it in a browser: headless Chromium.
//!
//! Where Chromium or its driver is missing, this is skipped, and says so, unless `KILN_TESTS_SKIP_NOTHING` is set: then it
//! fails.

mod browser;
#[path = "../../../node/tests/exe_units/image.rs"]
mod image;
#[path = "../../../node/tests/exe_units/programs.rs"]
mod programs;

use std::{path::PathBuf, sync::OnceLock, time::Duration};

use async_stream::try_stream;
use exeunit::Program;
use futures::Stream;
use node::{LocalNode, Prices, Provider};
use requestor::{Golem, Payload, Script, Service, WorkContext, rest::Rest, vm};
use serde_json::json;
use tokio::sync::watch;

use self::browser::Browser;

/// What does something if it is taken for HTML.
const HOSTILE: &str = r#"<img src=x onerror="hacked=1"><script>hacked=1</script>"#;
const PATIENCE: Duration = Duration::from_secs(120);

static IMAGE: OnceLock<PathBuf> = OnceLock::new();

/// Says something, and stays until it is told to go.
struct Talker {
    told: watch::Receiver<bool>,
}

impl Service for Talker {
    async fn get_payload() -> requestor::Result<Payload> {
        Ok(vm::image_file(IMAGE.get().expect("an image")).payload())
    }

    fn run(&mut self, _: &WorkContext) -> impl Stream<Item = requestor::Result<Script>> {
        try_stream! {
            let mut script = Script::new();
            let said = script.run("/bin/echo", ["a sandbox says hello"]);
            script.run("/bin/echo", [HOSTILE]);
            yield script;
            said.await?;
            // Whoever could tell it is gone otherwise.
            let _told = self.told.wait_for(|told| *told).await.is_ok();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_what_goes_on() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    IMAGE.set(image::image(folder.path())).expect("one image");
    let prices = Prices {
        start: 0.25,
        second: 0.5,
        cpu_second: 0.0,
    };
    let providers = [HOSTILE, "second"].map(|name| Provider::new(name).prices(prices).slots(2));
    let node = LocalNode::builder()
        .providers(providers)
        .cache_folder(folder.path().join("cache"))
        .exe_unit(Program::at(env!("CARGO_BIN_EXE_exe-unit-of-tests")))
        .start()
        .await
        .expect("a node");

    // Who has no key is asked for one, and a wrong one is refused.
    browser.open(node.url());
    browser.wait_for("document.getElementById('ask').open");
    browser.open(&format!("{}/#wrong", node.url()));
    browser.wait_for("document.getElementById('why').textContent.includes('does not know')");

    // Nothing goes on yet.
    browser.open(&format!("{}/#{}", node.url(), node.app_key()));
    browser.wait_for("document.getElementById('linked').textContent === 'live'");
    browser
        .wait_for("document.getElementById('activities').innerText.includes('nothing runs yet')");
    let rows =
        "[...document.querySelectorAll('#providers tbody tr')].map(row => row.cells[0].innerText)";
    assert_eq!(browser.evaluate(rows), json!([HOSTILE, "second"]));
    let figure = |id| browser.evaluate(&format!("document.getElementById('{id}').textContent"));
    assert_eq!(figure("slots-all"), "of 4 taken, by 2 providers");
    assert_eq!(figure("cost"), "0");

    // An activity says something.
    let rest = Rest::connect(node.url(), node.app_key()).expect("a daemon");
    let golem = Golem::builder().budget("100.0".parse().expect("an amount"));
    let golem = golem.start_on(rest).await.expect("a requestor");
    let (tell, told) = watch::channel(false);
    let cluster = golem.run_service(move |_| Talker { told: told.clone() });
    let cluster = cluster.start().await.expect("a service");
    cluster.all_running(PATIENCE).await.expect("it runs");
    browser
        .wait_for("document.getElementById('output').innerText.includes('a sandbox says hello')");
    let said = format!(
        "document.getElementById('output').innerText.includes({})",
        json!(HOSTILE)
    );
    browser.wait_for(&said);
    browser.wait_for("document.querySelector('#activities .state').textContent === 'Ready'");
    browser.wait_for("document.querySelector('#agreements .state').textContent === 'Approved'");
    browser.wait_for("document.getElementById('activities-live').textContent === '1'");
    browser.wait_for("Number(document.getElementById('cost').textContent) > 0.25");
    browser.wait_for("document.querySelectorAll('#chart path').length === 2");

    // It ends, and is billed, and that is seen without a reload.
    tell.send(true).expect("somebody listens");
    cluster.ended().await;
    golem.shutdown().await;
    browser.wait_for("document.getElementById('activities-live').textContent === '0'");
    browser.wait_for("document.querySelector('#agreements .state').textContent === 'Terminated'");
    browser.wait_for("[...document.querySelectorAll('#bills tbody tr')].some(row => row.innerText.includes('invoice'))");
    browser.wait_for("document.getElementById('output').innerText.includes('has ended')");

    // Nothing that others have said has become a part of it.
    assert_eq!(browser.evaluate("typeof hacked"), "undefined");
    assert_eq!(browser.evaluate("document.images.length"), 0);
    assert_eq!(browser.evaluate("document.scripts.length"), 1);
    assert_eq!(browser.evaluate("document.title"), "kiln node");
    let width = "document.documentElement.scrollWidth <= window.innerWidth";
    for pixels in [1280, 800, 360] {
        browser.resize(pixels);
        browser.wait_for(width);
    }

    node.stop().await.expect("it ends");
    browser.wait_for("document.getElementById('linked').textContent.includes('connection lost')");
    browser.wait_for("document.getElementById('main').className === 'stale'");
}
