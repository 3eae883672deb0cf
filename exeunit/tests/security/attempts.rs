//! Attempts that must do no harm, one test for each.

use std::{
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
};

use libtest_mimic::{Failed, Trial};

use crate::{
    activity::{Activity, run},
    attack::{self, ATTEMPTS},
};

/// A test for each attempt, and one that sees that a success would not go unnoticed.
pub(crate) fn trials() -> Vec<Trial> {
    let attempts =
        ATTEMPTS.iter().copied().flatten().map(|attempt| {
            Trial::test(format!("cannot {}", attempt.name), || try_it(attempt.name))
        });
    let control = Trial::test("an attempt that succeeds is noticed", || {
        match try_it(attack::HARMLESS) {
            Err(_) => Ok(()),
            Ok(()) => Err("it was not".into()),
        }
    });
    attempts.chain([control]).collect()
}

fn try_it(name: &'static str) -> Result<(), Failed> {
    let mut outcome = Ok(());
    run(async || {
        let host = Host::new();
        let mut activity = Activity::ready().await;
        let [port, socket, file] = host.arguments();
        let attacked = activity.attack(&[name, &port, &socket, &file]).await;
        let was_refused = attacked.said.starts_with(attack::REFUSED);
        // A filter may kill whoever tries; nothing else ends an attacker that it does not say.
        let was_killed = attacked
            .message
            .as_ref()
            .is_some_and(|message| message.ends_with("exited with code 159"));
        if !was_refused && !was_killed {
            outcome = Err(Failed::from(format!("{name}: {attacked:?}")));
        }
        activity.assert_unharmed().await;
        activity.ping().await;
    });
    outcome
}

/// What an attacker would like to reach of the host.
struct Host {
    loopback: TcpListener,
    name: String,
    _abstract_socket: UnixListener,
    file: tempfile::NamedTempFile,
}

impl Host {
    fn new() -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let name = format!("kiln-security-{}", file.path().display());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        Self {
            loopback: TcpListener::bind("127.0.0.1:0").expect("a port"),
            _abstract_socket: UnixListener::bind_addr(&address).expect("a socket"),
            name,
            file,
        }
    }

    fn arguments(&self) -> [String; 3] {
        let port = self.loopback.local_addr().expect("an address").port();
        let file = self.file.path().display().to_string();
        [port.to_string(), self.name.clone(), file]
    }
}
