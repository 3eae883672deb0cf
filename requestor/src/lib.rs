//! A requestor agent SDK for the Golem Network.
//!
//! A [`Service`] says what it runs in, its [`Payload`], and what is done with each of its instances: its handlers
//! yield [`Script`]s, and await the results of their commands.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use async_stream::try_stream;
//! use futures::Stream;
//! use requestor::{Golem, Payload, Result, Script, Service, WorkContext, rest::Rest, vm};
//!
//! struct Clock;
//!
//! impl Service for Clock {
//!     async fn get_payload() -> Result<Payload> {
//!         Ok(vm::image_file("clock.gvmi").min_mem_gib(0.25).payload())
//!     }
//!
//!     fn run(&mut self, ctx: &WorkContext) -> impl Stream<Item = Result<Script>> {
//!         try_stream! {
//!             loop {
//!                 let mut script = Script::new();
//!                 let date = script.run("/bin/date", ["-u"]);
//!                 yield script;
//!
//!                 let date = date.await?;
//!                 println!("{}: {:?}", ctx.provider_name(), date.text());
//!                 tokio::time::sleep(Duration::from_secs(10)).await;
//!             }
//!         }
//!     }
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let work = async |golem: &Golem| {
//!     let cluster = golem.run_service(|_| Clock).instances(3).start().await?;
//!     cluster.all_running(Duration::from_secs(240)).await?;
//!     tokio::time::sleep(Duration::from_secs(60)).await;
//!     Ok(())
//! };
//! let golem = Golem::builder().budget("1.5".parse()?);
//! let (served, bill) = golem.run_on(Rest::from_env()?, work).await?;
//! println!("{bill}");
//! served
//! # }
//! ```
//!
//! What happens on the way: [`Golem`] sets the budget aside. [`Golem::run_service`] publishes a demand, negotiates
//! with the providers whose offers match, and signs an agreement for each instance with the one that its
//! [`Strategy`] likes best. Each instance has an activity there; its life is told by [`InstanceState`]. Debit notes
//! and invoices are accepted as long as the budget lasts. In the end all is given back, and there is a [`Bill`].
//!
//! The engine knows the network only through the trait [`yagna::Yagna`]; [`rest::Rest`] speaks to a yagna daemon.

mod activity;
mod event;
mod golem;
pub mod id;
mod interrupt;
mod market;
mod network;
mod panics;
mod payload;
mod payment;
pub mod rest;
mod retry;
mod script;
mod service;
#[cfg(test)]
mod testbed;
mod transfer;
pub mod yagna;

pub use event::Event;
pub use golem::{Golem, GolemBuilder, StartError};
pub use interrupt::interrupted;
pub use market::{LeastExpensive, LinearPrice, Outlook, Strategy};
pub use network::{Connection, Network, NetworkNode, NoAddress};
pub use payload::{Payload, vm};
pub use payment::{Bill, BillRow, Unpaid, Usage};
pub use script::{CommandError, Handle, Output, Script};
pub use service::{
    Cluster, ClusterBuilder, HandlerError, InstanceState, InstanceStatus, NotRunning, Result,
    Service, WorkContext,
};
pub use transfer::{Incoming, Outgoing, Receipt, TransferError};
pub use yagna::Amount;
