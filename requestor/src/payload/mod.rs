//! Payloads: what a demand asks a provider to run.

pub mod vm;

use std::path::PathBuf;

use crate::yagna::Properties;

/// What a demand asks a provider to run, and what the provider must have for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// What the demand says of it.
    pub properties: Properties,
    /// What an offer must fulfil, each in parentheses.
    pub constraints: Vec<String>,
    /// The image, if it is a file of the requestor's: the requestor serves it, and adds its hash and its place to
    /// the properties.
    pub image: Option<PathBuf>,
}
