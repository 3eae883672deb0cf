//! Where a node answers otherwise than a yagna daemon, and is meant to.

/// A difference that is wanted.
pub(super) struct Wanted {
    /// Where it is seen: an entry that is not, in one of these, fails their tests.
    pub(super) recordings: &'static [&'static str],
    /// Such as `GET /market-api/v1/agreements/*`.
    pub(super) request: &'static str,
    /// In the answer, or `status`.
    pub(super) place: &'static str,
    /// Whether it depends on how fast a machine is: then it need not be seen.
    pub(super) is_of_speed: bool,
    #[expect(dead_code, reason = "it is for whoever reads this")]
    pub(super) reason: &'static str,
}

const NO_RELAY: &str = "a node reaches nobody beyond itself, and has no address for that";

/// All that are.
pub(super) const WANTED: &[Wanted] = &[
    Wanted {
        recordings: &["golem-js-rental", "golem-js-network"],
        request: "GET /activity-api/v1/activity/*/state",
        place: ".reason",
        is_of_speed: false,
        reason: "a node says of every activity why it ended; of one that was destroyed, the daemon knows no reason",
    },
    Wanted {
        recordings: &["ya-provider"],
        request: "GET /net-api/v2/net/status",
        place: ".listenIp",
        is_of_speed: false,
        reason: NO_RELAY,
    },
    Wanted {
        recordings: &["ya-provider"],
        request: "GET /net-api/v2/net/status",
        place: ".publicIp",
        is_of_speed: false,
        reason: NO_RELAY,
    },
    Wanted {
        recordings: &["yapapi-tasks"],
        request: "DELETE /activity-api/v1/activity/*",
        place: "status",
        is_of_speed: true,
        reason: "that exe-unit took longer to end than its requestor waited; those of a node end at once",
    },
];
