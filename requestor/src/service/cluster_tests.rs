//! Clusters on a testbed: what becomes of them, and what they leave.

use std::time::Duration;

use super::*;
use crate::testbed::{Acts, Testbed};

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

struct SimpleService;
struct Generic<T>(PhantomData<T>);

#[test]
fn instances_are_named_after_their_service() {
    assert_eq!(name_of::<SimpleService>(), "simple-service");
    assert_eq!(name_of::<Generic<Vec<u8>>>(), "generic");
}
