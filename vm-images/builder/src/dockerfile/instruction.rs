//! What instructions ask for.

/// An instruction: words expanded, paths absolute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Instruction {
    /// Copies files into the image.
    Copy(Copy),
    /// Runs a program of the image: its path or name, and its arguments.
    Run(Vec<String>),
    /// Sets variables for all commands from here on.
    Env(Vec<(String, String)>),
    /// Creates a folder, which commands from here on run in.
    WorkingDir(String),
    /// Creates folders, which hold what goes in and comes out when the image is used.
    Volume(Vec<String>),
    /// Names the image's program and its first arguments.
    Entrypoint(Vec<String>),
    /// Names the further arguments, or the program where there is no entry point.
    Cmd(Vec<String>),
    /// Says something about the image.
    Label(Vec<(String, String)>),
}

/// What `COPY` asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Copy {
    /// The name of the context that the sources are in; none for the main one.
    pub(crate) from: Option<String>,
    /// The permissions that everything copied gets, instead of its own.
    pub(crate) mode: Option<u32>,
    /// Paths or patterns in the context; never empty.
    pub(crate) sources: Vec<String>,
    /// An absolute path in the image; a folder if it ends with `/`.
    pub(crate) destination: String,
}
