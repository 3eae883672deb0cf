//! Activities as the engine sees them.

/// Where an activity stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityState {
    /// Its exe-unit starts.
    New,
    /// Its exe-unit waits for `deploy`.
    Initialized,
    /// Its image is there; it waits for `start`.
    Deployed,
    /// It runs commands.
    Ready,
    /// It has ended.
    Terminated,
    /// Its exe-unit has not been heard of for some seconds.
    Unresponsive,
}

/// How an activity does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityStatus {
    /// Where it stands.
    pub state: ActivityState,
    /// Why, if it has ended and somebody knows.
    pub reason: Option<String>,
}

/// What came of one command of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandResult {
    /// Whether it did what it should.
    pub status: CommandStatus,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

/// Whether a command did what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandStatus {
    /// It did.
    Ok,
    /// It did not, for this reason. The rest of its batch is not run.
    Failed(String),
}
