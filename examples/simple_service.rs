//! Golem's simple service: observations are simulated on a provider; now and then it is asked for their statistics and
//! for a plot of their distribution, which is downloaded.
//!
//! `cargo run --release --example simple_service` runs it on a network of its own. With `YAGNA_APPKEY` set it runs on
//! the network of the yagna daemon at `YAGNA_API_URL`.

#[path = "simple_service/options.rs"]
mod options;
#[path = "simple_service/print.rs"]
mod print;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use async_stream::try_stream;
use builder::{Build, Terminal, static_programs};
use clap::Parser;
use console::style;
use futures::Stream;
use options::Options;
use print::{complain, reader_gone, say};
use requestor::{Golem, LeastExpensive, Payload, Result, Script, Service, WorkContext, vm};
use tokio::time::{Instant, sleep};
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

const IMAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vm-images/simple_service");
const SIMPLE_SERVICE: &str = "/golem/run/simple_service";
const SIMULATE_OBSERVATIONS_CTL: &str = "/golem/run/simulate_observations_ctl";

/// How much longer than planned agreements may last; providers do not care for short ones.
const SLACK: Duration = Duration::from_secs(3600);
/// What the shell expects of a program that was interrupted.
const INTERRUPTED: u8 = 130;
/// What it expects of one whose output nobody reads any more.
const UNREAD: u8 = 141;

struct SimpleService {
    name: String,
    options: Arc<Options>,
}

impl Service for SimpleService {
    async fn get_payload() -> Result<Payload> {
        let progress = Terminal::stderr();
        let programs = static_programs(IMAGE, &progress).await?;
        let image = Build::open(format!("{IMAGE}/Dockerfile"))?.named_context("programs", programs);
        let image = image.run(&progress).await?;
        Ok(vm::image_file(image.path())
            .min_mem_gib(0.5)
            .min_storage_gib(2.0)
            .payload())
    }

    fn start(&mut self, _ctx: &WorkContext) -> impl Stream<Item = Result<Script>> {
        try_stream! {
            let mut script = Script::new();
            script.deploy();
            script.start();
            script.run(SIMULATE_OBSERVATIONS_CTL, ["--start"]);
            yield script;
        }
    }

    fn run(&mut self, ctx: &WorkContext) -> impl Stream<Item = Result<Script>> {
        try_stream! {
            loop {
                sleep(self.options.interval).await;
                let mut script = Script::new();
                let stats = script.run(SIMPLE_SERVICE, ["--stats"]);
                let plot = script.run(SIMPLE_SERVICE, ["--plot", "dist"]);
                yield script;

                let stats = stats.await?;
                let stats = style(stats.text()?).cyan();
                say(format_args!("{}: {stats}", self.name));

                let plot: String = plot.await?.json()?;
                let file = self.options.output_dir.join(format!("{}-{}.png", self.name, Uuid::new_v4()));
                let mut script = Script::new();
                let downloaded = script.download_file(&plot, &file);
                yield script;
                downloaded.await?;
                say(format_args!("{}: {plot} is now {}", self.name, style(file.display()).cyan()));

                if self.options.show_usage {
                    let usage = ctx.usage().await?;
                    let cost = ctx.cost(&usage).context("the price is not linear")?;
                    say(format_args!("{}: {usage} used, {cost} GLM", self.name));
                }
            }
        }
    }

    fn shutdown(&mut self, _ctx: &WorkContext) -> impl Stream<Item = Result<Script>> {
        try_stream! {
            let mut script = Script::new();
            script.run(SIMULATE_OBSERVATIONS_CTL, ["--stop"]);
            yield script;
        }
    }
}

fn main() -> ExitCode {
    node::main(async {
        let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env());
        log.with_writer(std::io::stderr)
            .with_ansi(console::colors_enabled_stderr())
            .init();
        run(Options::parse()).await.unwrap_or_else(|error| {
            let heading = style("error:").red().for_stderr();
            complain(format_args!("{heading} {error:#}"));
            ExitCode::FAILURE
        })
    })
}

async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let pressed = requestor::interrupted();
    let mut interrupted = tokio::spawn(async {
        pressed.await;
        complain("stopping in order; Ctrl-C once more stops at once");
    });
    let golem = tokio::select! {
        golem = start(&options) => golem?,
        _ = &mut interrupted => return Ok(ExitCode::from(INTERRUPTED)),
    };
    let outcome = tokio::select! {
        served = serve(&golem, options.into()) => served.map(|()| ExitCode::SUCCESS),
        _ = &mut interrupted => Ok(ExitCode::SUCCESS),
        () = reader_gone() => Ok(ExitCode::from(UNREAD)),
    };
    let bill = golem.shutdown().await;
    say(&bill);
    if interrupted.is_finished() {
        return outcome.map(|_| ExitCode::from(INTERRUPTED));
    }
    let unpaid = bill.rows.iter().filter(|row| row.unpaid.is_some()).count();
    let code = outcome?;
    ensure!(
        unpaid == 0,
        "{unpaid} of {} agreements are not paid in full",
        bill.rows.len()
    );
    Ok(code)
}

async fn start(options: &Options) -> anyhow::Result<Golem> {
    let yagna = node::yagna_or_local().subnet_tag(options.subnet_tag.clone());
    let golem = Golem::builder()
        .budget(options.budget)
        .subnet_tag(options.subnet_tag.clone())
        .payment_driver(options.payment_driver.clone())
        .payment_network(options.payment_network.clone());
    Ok(golem.start_on(yagna.await?).await?)
}

async fn serve(golem: &Golem, options: Arc<Options>) -> anyhow::Result<()> {
    let begin = Instant::now();
    let service = options.clone();
    let cluster = golem
        .run_service(move |index| SimpleService {
            name: format!("simple-service-{}", index + 1),
            options: service.clone(),
        })
        .instances(options.instances as usize)
        .expiration(options.starting_timeout + options.running_time + SLACK)
        .strategy(LeastExpensive::new(options.running_time))
        .on_change(|instance| say(style(instance).green()))
        .start()
        .await?;
    cluster.all_running(options.starting_timeout).await?;
    let time = begin.elapsed().as_secs_f64();
    say(format_args!("all instances run after {time:.1} s"));

    tokio::select! {
        () = sleep(options.running_time) => say(style("stopping instances").yellow()),
        () = cluster.ended() => {}
    }
    cluster.stop().await;
    let instances = cluster.instances();
    let failed = instances.iter().filter(|it| it.cause.is_some()).count();
    ensure!(
        failed == 0,
        "{failed} of {} instances failed",
        instances.len()
    );
    Ok(())
}
