//! The three programs, run as their users run them.

mod back_end;
mod daemon;
mod plots;
mod service;
