//! The exe-unit: a child process per activity, which runs a requestor's scripts in an image, in a sandbox.

mod account;
mod activity;
mod agreement;
mod bridge;
mod cause;
pub mod event;
mod frame;
pub mod gsb;
mod image;
mod measure;
pub mod network;
mod occupied;
mod program;
mod remove;
mod report;
mod runtime;
pub mod sandbox;
pub mod script;
mod service;
mod spool;
mod standalone;
mod supervisor;
mod threads;
mod tied;
mod transfer;
mod unit;
mod usage;
pub mod vm;
mod windows;
mod within;

pub use program::{NotEntered, Program, enter, exe_unit, guest, runtime_program};
pub use remove::remove_tree;
