//! A node as programs see it: over HTTP, on the bus, and as processes and files.

mod activity;
mod breaches;
mod bus;
mod client;
mod clock;
mod habits;
mod json_calls;
mod lifecycle;
mod market;
mod part;
mod peer;
mod provider;
mod raw;
mod recorded;
mod registry;
mod requestor;
mod rest;
mod scene;
mod shape;
mod stream;
mod time;
