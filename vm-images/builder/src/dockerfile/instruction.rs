//! What instructions ask for.

/// An instruction: words expanded, paths absolute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Instruction {
    /// Copies files into the image.
    Copy(Copy),
    /// Runs a program of the image.
    Run(Run),
    /// Names a variable of the build, which has been taken into account already.
    Arg,
    /// Sets variables for all commands from here on.
    Env(Vec<(String, String)>),
    /// Creates a folder, which commands from here on run in.
    WorkingDir(String),
    /// Says who commands from here on run as.
    User(String),
    /// Says what the shell forms from here on are run by, which has been taken into account already.
    Shell(Vec<String>),
    /// Creates folders, which hold what goes in and comes out when the image is used.
    Volume(Vec<String>),
    /// Names the image's program and its first arguments.
    Entrypoint(Vec<String>),
    /// Names the further arguments, or the program where there is no entry point.
    Cmd(Vec<String>),
    /// Says something about the image.
    Label(Vec<(String, String)>),
    /// Says on what ports it listens, as `80/tcp`.
    Expose(Vec<String>),
    /// Names the signal that ends it.
    StopSignal(String),
}

/// What `COPY` and `ADD` ask for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Copy {
    /// What the sources are in, by its name; none for the main context.
    pub(crate) from: Option<String>,
    /// The permissions that everything copied gets, instead of its own.
    pub(crate) mode: Option<u32>,
    /// Whose everything copied is: `user[:group]`, names or numbers; root's if it is not said.
    pub(crate) owner: Option<String>,
    /// Whether archives are unpacked.
    pub(crate) unpacks: bool,
    /// Paths or patterns; never empty.
    pub(crate) sources: Vec<String>,
    /// An absolute path in the image; a folder if it ends with `/`.
    pub(crate) destination: String,
}

/// What `RUN` asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// The path or name of a program of the image, and its arguments.
    pub(crate) command: Vec<String>,
    /// The variables that `ARG` has set, which those of the image go over.
    pub(crate) arguments: Vec<(String, String)>,
}
