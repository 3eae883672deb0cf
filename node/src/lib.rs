//! A local Golem network: market, activities, payments and providers on one machine.
//!
//! [`LocalNode`] is all of it: to a program it is a yagna daemon with an app key, and behind that daemon are providers
//! that run what they are asked for, each activity as a child process. There is no other machine, no account, and no
//! money: payments are made in play money, on platforms that are called like real ones.
//!
//! ```no_run
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     node::main(async {
//!         let node = node::LocalNode::builder().start().await?;
//!         println!("YAGNA_API_URL={} YAGNA_APPKEY={}", node.url(), node.app_key());
//!         node.stop().await?;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # How it is made
//!
//! The market, the activities and the payments are state machines that decide purely: what happens comes in with the
//! time at which it does, and nothing is done but to note what follows. Each has one task that owns it, and whoever
//! wants something of it sends that task a message. Whoever waits for something, waits for the machine to
//! say that it has changed. The providers use what any provider could use over REST.
//!
//! # What there is not yet
//!
//! Manifests.

mod activity;
mod builder;
mod clock;
mod entry;
mod folder;
mod gsb;
mod http;
mod id;
mod identity;
mod local;
mod log;
mod market;
mod network;
mod overview;
mod owned;
mod payment;
mod provider;
mod registry;
mod socket;
mod state;

pub use self::{
    builder::{LocalNodeBuilder, StartError},
    clock::{Clock, Hands},
    entry::{NetworkError, YagnaOrLocal, main, yagna_or_local},
    local::{LocalNode, StopError},
    network::Quality,
    payment::platform::Platform,
    provider::{Faults, Prices, Provider, ProvidersError, Rules, Runtime, Stage},
    state::StateError,
};

/// The programs of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The programs of the page on networks compile.
#[cfg(doctest)]
#[doc = include_str!("../../docs/networks.md")]
struct PageOnNetworks;
