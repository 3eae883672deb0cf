//! Clusters on a testbed: what becomes of them, and what they leave.

use std::time::Duration;

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, stream};
use tokio::time::timeout;

use super::*;
use crate::{
    service::HandlerError,
    testbed::{Acts, Fault, Handler, Testbed, refused, run, script, unreachable},
    yagna::{Amount, Proposal},
};

const PATIENCE: Duration = Duration::from_secs(240);

#[tokio::test(start_paused = true)]
async fn a_cluster_runs_is_paid_and_gives_everything_back() {
    let bed = Testbed::new(["ada", "bob"]);
    let golem = bed.golem("1").await;
    let cluster = golem.run_service(|_| Acts::default()).instances(2);
    let cluster = cluster.start().await.unwrap();
    cluster.all_running(PATIENCE).await.unwrap();
    cluster.stop().await;
    for instance in cluster.instances() {
        assert_eq!(instance.state, InstanceState::Terminated);
        assert_eq!(instance.cause, None);
    }
    let bill = golem.shutdown().await;
    assert_eq!(bill.total.to_string(), "0.2");
    assert_eq!(bed.held(), [] as [&str; 0]);
    assert_eq!(bed.count("exec /bye"), 2);
}

/// A cluster of one instance that runs, on a testbed with one provider.
async fn running(bed: &Testbed, golem: &Golem, run: Handler) -> Cluster {
    let make = move |_| Acts {
        run,
        ..Acts::default()
    };
    let cluster = golem.run_service(make).start().await.unwrap();
    cluster.all_running(PATIENCE).await.unwrap();
    bed.holds("activity").await;
    cluster
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_script_that_runs_end_before_shutdown() {
    let bed = Testbed::new(["ada"]);
    let golem = bed.golem("1").await;
    let cluster = running(&bed, &golem, |_| script(run("/sleep", "20"))).await;
    bed.calls_of("exec /sleep", 1).await;
    cluster.stop().await;
    assert_eq!(cluster.instances()[0].cause, None);
    assert_eq!(bed.count("exec /bye"), 1);
    golem.shutdown().await;
    assert_eq!(bed.held(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_a_script_is_sent_lets_it_end_before_shutdown() {
    let bed = Testbed::new(["ada"]);
    let golem = bed.golem("1").await;
    // The script of `start` is the first.
    bed.next(
        "exec",
        [Duration::ZERO, Duration::from_secs(1)].map(Fault::Late),
    );
    let cluster = running(&bed, &golem, |_| script(run("/sleep", "20"))).await;
    bed.calls_of("exec /sleep", 1).await;
    cluster.stop().await;
    assert_eq!(cluster.instances()[0].cause, None);
    assert_eq!(bed.count("exec /bye"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_script_that_does_not_end_in_time_is_named_as_the_cause() {
    let bed = Testbed::new(["ada"]);
    let golem = bed.golem("1").await;
    let cluster = running(&bed, &golem, |_| script(run("/sleep", "1000"))).await;
    bed.calls_of("exec /sleep", 1).await;
    cluster.stop().await;
    let cause = cluster.instances()[0].cause.clone();
    let expected = "its shutdown, and what ran before it, took more than 30 s";
    assert_eq!(cause.as_deref(), Some(expected));
    golem.shutdown().await;
    assert_eq!(bed.held(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_first_cause_stays_whatever_shutdown_says() {
    let bed = Testbed::new(["ada"]);
    let golem = bed.golem("1").await;
    let cluster = golem.run_service(|_| Acts {
        run: |_| stream::iter([Ok(run("/sleep", "20")), Err("out of luck".into())]).boxed(),
        shutdown: |_| script(run("/fail", "x")),
        ..Acts::default()
    });
    let cluster = cluster.start().await.unwrap();
    timeout(PATIENCE, cluster.ended()).await.expect("it ends");
    let cause = cluster.instances()[0].cause.clone();
    assert_eq!(cause.as_deref(), Some("out of luck"));
    assert_eq!(bed.count("exec /fail"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_is_not_blamed_for_what_another_did() {
    let bed = Testbed::new(["ada", "bob"]);
    let golem = bed.golem("1").await;
    bed.next(
        "exec",
        [refused(400, "no such image"), Fault::Late(PATIENCE)],
    );
    let cluster = golem.run_service(|_| Acts::default()).start();
    let cluster = cluster.await.unwrap();
    bed.calls_of("exec /hello", 2).await;
    cluster.stop().await;
    let reasons = bed.reasons("terminate_agreement");
    assert!(reasons[0].contains("no such image"), "{reasons:?}");
    assert_eq!(reasons[1], "the instance has ended");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_given_back_at_first_is_given_back_later() {
    let bed = Testbed::new(["ada"]);
    let golem = bed.golem("1").await;
    let network = golem.network("10.0.0.0/24").await.unwrap();
    let cluster = golem.run_service(|_| Acts::default()).network(&network);
    let cluster = cluster.start().await.unwrap();
    cluster.all_running(PATIENCE).await.unwrap();
    for call in [
        "destroy_activity",
        "terminate_agreement",
        "withdraw_demand",
        "remove_network",
        "accept_invoice",
        "release_allocation",
    ] {
        bed.next(call, [unreachable(), Fault::AnswerLost]);
    }
    let events = golem.events();
    let bill = golem.shutdown().await;
    assert_eq!(bed.held(), [] as [&str; 0]);
    assert_eq!(bill.total.to_string(), "0.1");
    let events: Vec<_> = events.take(6).collect().await;
    for event in ["ActivityDestroyed", "AgreementTerminated"] {
        let told = events.iter().any(|it| format!("{it:?}").starts_with(event));
        assert!(told, "{event} in {events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_burns_no_draft_and_blames_nobody() {
    let bed = Testbed::new(["ada"]);
    let golem = bed.golem("1").await;
    bed.next("counter_proposal", vec![unreachable(); 20]);
    bed.next("create_agreement", vec![unreachable(); 20]);
    let cluster = golem.run_service(|_| Acts::default()).start();
    let cluster = cluster.await.unwrap();
    cluster.all_running(PATIENCE).await.unwrap();
    let outlook = cluster.market.outlook().to_string();
    assert_eq!(outlook, "1 offer matched the demand, 1 taken");
    golem.shutdown().await;
    assert_eq!(bed.held(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_an_activity_is_created_leaves_none_and_pays_for_it() {
    for (fault, destroyed) in [
        (Fault::Late(Duration::from_secs(10)), 1),
        (Fault::AnswerLost, 0),
    ] {
        let bed = Testbed::new(["ada"]);
        let golem = bed.golem("1").await;
        bed.next("create_activity", [fault.clone()]);
        let cluster = golem.run_service(|_| Acts::default()).start();
        let cluster = cluster.await.unwrap();
        bed.calls_of("create_activity", 1).await;
        cluster.stop().await;
        let bill = golem.shutdown().await;
        let rows = bill.rows.iter().map(|row| row.cost);
        assert_eq!(rows.sum::<Amount>(), "0.1".parse().unwrap(), "{fault:?}");
        assert_eq!(bill.total.to_string(), "0.1", "{fault:?}");
        assert_eq!(bed.count("destroy_activity"), destroyed, "{fault:?}");
        assert_eq!(bed.held(), [] as [&str; 0], "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_has_ended_is_told_of_at_once() {
    // There is nobody for the second instance.
    let bed = Testbed::new(["ada"]);
    let golem = bed.golem("1").await;
    let make = |_| Acts {
        start: |_| stream::iter([Err(HandlerError::terminal("no licence"))]).boxed(),
        ..Acts::default()
    };
    let cluster = golem.run_service(make).instances(2).start().await.unwrap();
    let begin = tokio::time::Instant::now();
    let error = cluster.all_running(Duration::MAX).await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(5), "{error}");
    let error = error.to_string();
    assert!(
        error.starts_with("not all instances run: acts-1 has ended\n"),
        "{error}"
    );
    assert!(error.contains("terminated on ada: no licence"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn instances_that_do_not_run_in_time_are_named() {
    let bed = Testbed::new(["ada"]);
    let golem = bed.golem("1").await;
    let cluster = golem.run_service(|_| Acts::default()).instances(2);
    let cluster = cluster.start().await.unwrap();
    let error = cluster.all_running(PATIENCE).await.unwrap_err().to_string();
    let expected = "not all instances run after 240 s\n  acts-2 pending\n  market: 1 offer";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_the_budget_does_not_pay_ends_the_cluster() {
    let bed = Testbed::new(["ada", "bob"]);
    let golem = bed.golem("0.5").await;
    let cluster = golem.run_service(|_| Acts::default()).instances(2);
    let cluster = cluster.start().await.unwrap();
    cluster.all_running(PATIENCE).await.unwrap();
    let activity = cluster.instances()[0].activity.clone().unwrap();
    bed.claim(&activity, "0.2");
    bed.calls_of("accept_debit_note", 1).await;
    bed.claim(&activity, "0.6");
    timeout(PATIENCE, cluster.ended()).await.expect("it ends");
    for instance in cluster.instances() {
        let cause = instance.cause.unwrap();
        assert!(cause.starts_with("debit note 1 of agreement "), "{cause}");
        let why = "cannot be paid: 0.4 GLM more are asked for, and only 0.3 GLM of the budget of 0.5 GLM are left";
        assert!(cause.ends_with(why), "{cause}");
    }
    assert_eq!(bed.count("exec /bye"), 2);
    golem.shutdown().await;
    assert_eq!(bed.held(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_the_budget_does_not_pay_is_turned_down() {
    let bed = Testbed::new(["ada"]);
    let interval = "golem.com.scheme.payu.debit-note.interval-sec?";
    bed.offers("ada", interval, 120.into());
    let golem = bed.golem("0.00002").await;
    let cluster = golem.run_service(|_| Acts::default()).start();
    let error = cluster.await.unwrap().all_running(PATIENCE).await;
    let error = error.unwrap_err().to_string();
    let why = "its first debit note would be over 0.012 GLM, and 0.00002 GLM of the budget are left for each instance";
    assert!(error.contains(why), "{error}");
    assert_eq!(bed.count("create_agreement"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_name_in_a_network_is_one_instances_alone_as_long_as_its_cluster_lives() {
    let bed = Testbed::new(["ada", "bob"]);
    let golem = bed.golem("1").await;
    let network = golem.network("10.0.0.0/24").await.unwrap();
    let cluster = || {
        let cluster = golem.run_service(|_| Acts::default());
        cluster.network(&network).start()
    };
    let first = cluster().await.unwrap();
    let address = network.hosts()["acts-1"];
    let error = cluster().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    let expected = "has an instance acts-1 already: give the cluster another name";
    assert!(cause.ends_with(expected), "{cause}");
    first.stop().await;
    assert!(network.hosts().is_empty());
    let second = cluster().await.unwrap();
    assert_eq!(network.hosts()["acts-1"], address);
    second.stop().await;

    bed.next("publish_demand", vec![refused(400, "no demand")]);
    cluster().await.unwrap_err();
    assert!(
        network.hosts().is_empty(),
        "what does not start has no names"
    );
}

#[tokio::test(start_paused = true)]
async fn instances_are_made_by_one_closure_and_know_their_names() {
    let bed = Testbed::new(["ada", "bob"]);
    let golem = bed.golem("1").await;
    let made = AtomicUsize::new(0);
    let make = move |_| match made.fetch_add(1, Ordering::Relaxed) {
        0 => Acts {
            start: |ctx| script(run("/first", ctx.instance_name())),
            ..Acts::default()
        },
        _ => Acts {
            start: |ctx| script(run("/next", ctx.instance_name())),
            ..Acts::default()
        },
    };
    let cluster = golem.run_service(make).name("web").instances(2);
    let cluster = cluster
        .expiration(Duration::from_secs(3600))
        .start()
        .await
        .unwrap();
    cluster.all_running(PATIENCE).await.unwrap();
    let mut scripts: Vec<_> = bed
        .calls()
        .into_iter()
        .filter(|it| it.starts_with("exec"))
        .collect();
    scripts.sort();
    assert!(scripts[0].starts_with("exec /first web-"), "{scripts:?}");
    assert!(scripts[1].starts_with("exec /next web-"), "{scripts:?}");
    let expires = bed.demands()[0]
        .properties
        .number("golem.srv.comp.expiration");
    assert_eq!(expires, Some(3_600_000.0));
}

/// Where a program of ours may panic.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Make,
    Start,
    OnChange,
    Score,
}

struct Strict(Place);

impl Strategy for Strict {
    fn score(&self, _: &Proposal) -> Result<f64, String> {
        assert_ne!(self.0, Place::Score, "it is scored");
        Ok(0.0)
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_panics_is_the_cause_and_all_is_given_back() {
    for (place, cause) in [
        (Place::Make, "its program panicked: it is made"),
        (Place::Start, "a handler panicked: it starts"),
        (Place::OnChange, "its program panicked: it is told"),
        (Place::Score, "the negotiation panicked: assertion"),
    ] {
        let bed = Testbed::new(["ada", "bob"]);
        let golem = bed.golem("1").await;
        let make = move |index| {
            assert!(place != Place::Make || index == 0, "it is made");
            let start: Handler = match (place, index) {
                (Place::Start, 1) => |_| panic!("it starts"),
                _ => |_| script(run("/hello", "x")),
            };
            Acts {
                start,
                ..Acts::default()
            }
        };
        let on_change = move |status: &InstanceStatus| {
            let is_second = status.name == "acts-2" && status.state == InstanceState::Running;
            assert!(place != Place::OnChange || !is_second, "it is told");
        };
        let cluster = golem.run_service(make).instances(2).on_change(on_change);
        let cluster = cluster.strategy(Strict(place)).start().await.unwrap();
        let mut second = cluster.statuses[1].clone();
        let ended = |status: &InstanceStatus| status.state == InstanceState::Terminated;
        let second = second.wait_for(ended).await.unwrap().clone();
        let told = second.cause.unwrap_or_default();
        assert!(told.starts_with(cause), "{place:?}: {told}");
        if place != Place::Score {
            cluster.statuses[0]
                .clone()
                .wait_for(is_running)
                .await
                .unwrap();
        }
        cluster.stop().await;
        golem.shutdown().await;
        assert_eq!(bed.held(), [] as [&str; 0], "{place:?}");
    }
}

fn is_running(status: &InstanceStatus) -> bool {
    status.state == InstanceState::Running
}

struct SimpleService;
struct Generic<T>(PhantomData<T>);

#[test]
fn instances_are_named_after_their_service() {
    assert_eq!(name_of::<SimpleService>(), "simple-service");
    assert_eq!(name_of::<Generic<Vec<u8>>>(), "generic");
}
