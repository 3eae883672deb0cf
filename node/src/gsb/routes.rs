//! Who gets the calls to which addresses.

use std::collections::BTreeMap;

use exeunit::gsb::CallError;
use tokio::sync::mpsc;

use super::{Call, Calls, address};
use crate::owned::Machine;

/// All services on the bus, by their addresses.
#[derive(Debug, Default)]
pub(super) struct Routes {
    services: BTreeMap<String, Line>,
    lines: u64,
    bound: Vec<String>,
}

/// The way to somebody who has services on the bus.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    id: u64,
    calls: mpsc::UnboundedSender<Call>,
}

impl Line {
    /// Puts a call through; it comes back if nobody is there any more.
    pub(super) fn put(&self, call: Call) -> Result<(), CallError> {
        let gone = |call: mpsc::error::SendError<Call>| {
            CallError::Closed(format!("the service at {} has gone", call.0.address))
        };
        self.calls.send(call).map_err(gone)
    }
}

/// Why a service cannot have an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BindError {
    /// No service can.
    #[error("no service can have the address `{0}`")]
    Malformed(String),
    /// Another service has it.
    #[error("the address {0} is taken")]
    Taken(String),
}

impl Routes {
    /// A way to somebody, who may bind services to it.
    pub(super) fn open_line(&mut self) -> (Line, Calls) {
        self.lines += 1;
        let (calls, incoming) = mpsc::unbounded_channel();
        let line = Line {
            id: self.lines,
            calls,
        };
        (line, incoming)
    }

    /// Gives an address, and all below it, to whoever is at the end of a line.
    pub(super) fn bind(&mut self, address: String, line: Line) -> Result<(), BindError> {
        if !address::is_bindable(&address) {
            return Err(BindError::Malformed(address));
        }
        if self.services.contains_key(&address) {
            return Err(BindError::Taken(address));
        }
        self.bound.push(address.clone());
        self.services.insert(address, line);
        Ok(())
    }

    /// Frees an address of a line's; whether it was one.
    pub(super) fn unbind(&mut self, address: &str, line: &Line) -> bool {
        let bound = self.services.get(address);
        let is_theirs = bound.is_some_and(|bound| bound.id == line.id);
        if is_theirs {
            self.services.remove(address);
        }
        is_theirs
    }

    /// Frees all addresses of a line.
    pub(super) fn close_line(&mut self, line: &Line) {
        self.services.retain(|_, bound| bound.id != line.id);
    }

    /// Whether there is a service of exactly this address.
    pub(super) fn has(&self, address: &str) -> bool {
        self.services.contains_key(address)
    }

    /// The way to the service nearest to an address, and what it is asked.
    pub(super) fn route(&self, address: &str) -> Result<(Line, String), CallError> {
        let service = |(service, component): (&str, &str)| {
            let line = self.services.get(service)?;
            Some((line.clone(), component.to_owned()))
        };
        address::candidates(address)
            .find_map(service)
            .ok_or_else(|| CallError::NotFound(format!("no service at {address}")))
    }
}

impl Machine for Routes {
    /// An address that a service was given.
    type Topic = String;

    fn take_changes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_service_at_a_time() {
        let mut routes = Routes::default();
        let (one, _calls) = routes.open_line();
        let (two, _calls) = routes.open_line();
        let mut bind = |address: &str, line: &Line| routes.bind(address.to_owned(), line.clone());
        bind("/public/a", &one).unwrap();
        bind("/public/a/b", &two).unwrap();
        assert_eq!(
            bind("/public/a", &two),
            Err(BindError::Taken("/public/a".to_owned()))
        );
        for address in ["", "/", "public", "/public/"] {
            let malformed = BindError::Malformed(address.to_owned());
            assert_eq!(bind(address, &one), Err(malformed));
        }

        let asked = |routes: &Routes, address| {
            let routed = routes.route(address);
            routed.map(|(line, component)| (line.id, component)).ok()
        };
        assert_eq!(
            asked(&routes, "/public/a/Get"),
            Some((one.id, "Get".to_owned()))
        );
        assert_eq!(
            asked(&routes, "/public/a/b/Get"),
            Some((two.id, "Get".to_owned()))
        );
        assert_eq!(
            asked(&routes, "/public/a/c/Get"),
            Some((one.id, "c/Get".to_owned()))
        );
        assert_eq!(asked(&routes, "/public/ab/Get"), None);

        assert!(!routes.unbind("/public/a", &two));
        assert!(routes.unbind("/public/a", &one));
        routes.close_line(&two);
        assert_eq!(asked(&routes, "/public/a/b/Get"), None);
        routes.bind("/public/a/b".to_owned(), one).unwrap();
    }
}
