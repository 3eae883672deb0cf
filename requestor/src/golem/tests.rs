//! How a requestor ends.

use super::*;
use crate::{
    service::Cluster,
    testbed::{Acts, Testbed},
};

async fn running(golem: &Golem) -> Cluster {
    let cluster = golem.run_service(|_| Acts::default()).start().await;
    let cluster = cluster.unwrap();
    cluster.all_running(Duration::from_secs(240)).await.unwrap();
    cluster
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_gives_back_in_the_background() {
    let bed = Testbed::new(["ada"]);
    let golem = bed.golem("1").await;
    golem.network("10.0.0.0/24").await.unwrap();
    running(&golem).await;
    drop(golem);
    bed.holds_nothing().await;
    assert_eq!(bed.count("exec /bye"), 1);
    assert_eq!(bed.count("accept_invoice"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_is_broken_off_goes_on_in_the_background() {
    let bed = Testbed::new(["ada"]);
    let golem = bed.golem("1").await;
    running(&golem).await;
    let shutdown = tokio::time::timeout(Duration::from_millis(2), golem.shutdown());
    shutdown.await.unwrap_err();
    bed.holds_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn work_is_shut_down_whatever_comes_of_it() {
    let bed = Testbed::new(["ada"]);
    let golem = || Golem::builder().budget(Amount::ONE);
    let work = async |golem: &Golem| {
        running(golem).await;
        Err::<(), _>("out of luck")
    };
    let (done, bill) = golem().run_on(bed.clone(), work).await.unwrap();
    assert_eq!(done, Err("out of luck"));
    assert_eq!(bill.total.to_string(), "0.1");
    assert_eq!(bed.held(), [] as [&str; 0]);

    let work = async |golem: &Golem| {
        running(golem).await;
        panic!("out of luck");
    };
    let panicked = AssertUnwindSafe(golem().run_on(bed.clone(), work));
    assert!(panicked.catch_unwind().await.is_err(), "it panics");
    assert_eq!(bed.held(), [] as [&str; 0]);
}
