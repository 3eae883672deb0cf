//! Why a simulation cannot go on.

/// A simulation that cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("the simulation ends in step {step}")]
pub struct Abort {
    /// The step that could not be done.
    pub step: u32,
    /// Why.
    #[source]
    pub reason: Reason,
}

/// Why a step could not be done. Ids are the dataset's.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// A transfer between servers behind one switch: its way has no link to share. `colocation` corrects it.
    #[error(
        "flow {flow} from server {source_server} to server {target} has no link to pass through: both are behind switch {switch} (EdgeSimPy aborts here; correcting `colocation` lets it pass)"
    )]
    ServersShareSwitch {
        /// The flow that was to begin.
        flow: i64,
        /// From where.
        source_server: i64,
        /// To where.
        target: i64,
        /// The switch.
        switch: i64,
    },
    /// No registry has a layer that a server waits for.
    #[error("no available registry has layer {digest:?}, which server {server} waits for")]
    NoRegistryHasLayer {
        /// The server.
        server: i64,
        /// The layer's id.
        layer: i64,
        /// The layer's digest.
        digest: String,
    },
    /// Two switches have no way between them.
    #[error("no path leads from switch {from} to switch {to}")]
    NoPath {
        /// From where.
        from: i64,
        /// To where.
        to: i64,
    },
    /// No image has the digest of a service's.
    #[error("service {service} is to be provisioned, but no image has its digest {digest:?}")]
    UnknownImage {
        /// The service.
        service: i64,
        /// The digest.
        digest: String,
    },
    /// An image lists a layer that there is none of.
    #[error("an image lists layer {digest:?}, but no layer has this digest")]
    UnknownLayer {
        /// The digest.
        digest: String,
    },
    /// A registry was to be provisioned where there is none to take as a template.
    #[error("there is no registry to provision another one like")]
    NoRegistry,
    /// A registry was to be provisioned, or waits for its image, and there is none.
    #[error("no image is named \"registry\"")]
    NoRegistryImage,
    /// A registry was to be taken away while a service's state is transferred. `release` corrects it.
    #[error("a registry cannot be deprovisioned while flow {flow} transfers a service's state")]
    StateFlowWhileDeprovisioning {
        /// The flow.
        flow: i64,
    },
    /// A user is where no base station is.
    #[error("user {user} is at {coordinates}, where no base station is")]
    NoBaseStation {
        /// The user.
        user: i64,
        /// Where it is.
        coordinates: String,
    },
    /// A user's trace ended, and nothing says how it goes on.
    #[error(
        "the coordinates_trace of user {user} ends before this step, and it has no mobility_model"
    )]
    TraceEnded {
        /// The user.
        user: i64,
    },
    /// A user's trace ended, and its walk leads nowhere.
    #[error(
        "the coordinates_trace of user {user} ends before this step, and its mobility_model {model} appends nothing to it"
    )]
    WalkEmpty {
        /// The user.
        user: i64,
        /// How it moves.
        model: &'static str,
    },
    /// A user's walk is longer than can be kept.
    #[error(
        "user {user}: mobility_model_parameters: n_paths {walks} makes a walk over more than {limit} places"
    )]
    WalkTooLong {
        /// The user.
        user: i64,
        /// How many walks it takes at once.
        walks: i64,
        /// The most places.
        limit: usize,
    },
    /// A user is to move, and there is nowhere else.
    #[error("user {user} is to move, but there is nowhere else to be")]
    NowhereToGo {
        /// The user.
        user: i64,
    },
    /// A user uses an application, and nothing says when.
    #[error("user {user} has no access pattern for application {application}")]
    NoAccessPattern {
        /// The user.
        user: i64,
        /// The application.
        application: i64,
    },
    /// Nothing says if a user makes requests in this step.
    #[error(
        "making_requests of user {user} says nothing of this step for application {application}"
    )]
    RequestsUnknown {
        /// The user.
        user: i64,
        /// The application.
        application: i64,
    },
    /// A policy named what is not there.
    #[error("there is no {class} {id}")]
    NoSuchObject {
        /// The class.
        class: String,
        /// The id.
        id: i64,
    },
    /// A policy set what cannot be set.
    #[error("{attribute} of {class} {id} cannot be set to this: {problem}")]
    CannotSet {
        /// The class.
        class: String,
        /// The id.
        id: i64,
        /// The attribute.
        attribute: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A policy failed.
    #[error("the policy failed")]
    Policy(#[source] Box<dyn std::error::Error + Send + Sync>),
}
