//! Addresses on the bus.

use std::{collections::HashSet, str::FromStr};

use exeunit::gsb::CallError;
use ya_client_model::NodeId;

use crate::id::ActivityId;

/// Where an address leads: `/net/<node>/gftp/<file>` is what that node has at `/public/gftp/<file>`.
///
/// All identities of this node share its services; other nodes cannot be reached.
pub(super) fn resolve(address: &str, here: &HashSet<NodeId>) -> Result<String, CallError> {
    let Some((node, rest)) = remote(address) else {
        return Ok(address.to_owned());
    };
    if !NodeId::from_str(node).is_ok_and(|node| here.contains(&node)) {
        let unreachable = format!("node {node} cannot be reached, for {address}");
        return Err(CallError::NotFound(unreachable));
    }
    let rest = rest.strip_prefix("public/").unwrap_or(rest);
    Ok(format!("/public/{rest}"))
}

/// Who calls, if an address says so: `/from/<node>/to/…`.
pub(super) fn sender(address: &str) -> Option<&str> {
    let address = address.strip_prefix("/transfer").unwrap_or(address);
    let (sender, _) = address.strip_prefix("/from/")?.split_once('/')?;
    Some(sender)
}

/// The node that an address leads to, and what follows; nothing if it does not lead to a node.
fn remote(address: &str) -> Option<(&str, &str)> {
    let address = address.strip_prefix("/transfer").unwrap_or(address);
    if let Some(address) = address.strip_prefix("/from/") {
        let (_, address) = address.split_once("/to/")?;
        return address.split_once('/');
    }
    address.strip_prefix("/net/")?.split_once('/')
}

/// The addresses that a service may have to get a call to `address`, and what it is asked then, the nearest first.
pub(super) fn candidates(address: &str) -> impl Iterator<Item = (&str, &str)> {
    address
        .rmatch_indices('/')
        .map(|(slash, _)| (&address[..slash], &address[slash + 1..]))
}

/// Whether a service can have an address.
pub(super) fn is_bindable(address: &str) -> bool {
    address.len() > 1 && address.starts_with('/') && !address.ends_with('/')
}

/// Whose an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The node's own services are there, and ways to all others.
    Node,
    /// The exe-unit of an activity is there.
    ExeUnit(ActivityId),
    /// Anybody may be there.
    Open,
}

/// Whose an address is.
pub(crate) fn place(address: &str) -> Place {
    let mut parts = address.split('/').skip(1);
    match (parts.next(), parts.next(), parts.next()) {
        (Some("local" | "net" | "from" | "transfer"), ..) | (Some("public"), None, _) => {
            Place::Node
        }
        (Some("public"), Some("exeunit"), activity) => match activity {
            Some(activity) => Place::ExeUnit(ActivityId::from(activity)),
            None => Place::Node,
        },
        _ => Place::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_addresses_are_not_for_everybody() {
        let exe_unit = Place::ExeUnit(ActivityId::from("a"));
        for (address, whose) in [
            ("/local", Place::Node),
            ("/local/activity", Place::Node),
            ("/net/0x00/gftp", Place::Node),
            ("/public", Place::Node),
            ("/public/exeunit", Place::Node),
            ("/public/exeunit/a", exe_unit.clone()),
            ("/public/exeunit/a/Exec", exe_unit),
            ("/public/gftp/f", Place::Open),
            ("/mine", Place::Open),
        ] {
            assert_eq!(place(address), whose, "{address}");
        }
    }

    #[test]
    fn addresses_lead_to_services_of_this_node() {
        let node = "0x83f6cf1036a6ad09a382d45b2c6357628ca2fdb5";
        let here = HashSet::from([node.parse().unwrap()]);
        for (address, leads_to) in [
            (
                "/local/activity/SetState".to_owned(),
                Some("/local/activity/SetState"),
            ),
            (
                format!("/net/{node}/gftp/x/GetChunk"),
                Some("/public/gftp/x/GetChunk"),
            ),
            (
                format!("/net/{node}/public/gftp/x/GetChunk"),
                Some("/public/gftp/x/GetChunk"),
            ),
            (
                format!("/transfer/net/{node}/public/exeunit/a/Exec"),
                Some("/public/exeunit/a/Exec"),
            ),
            (
                format!("/from/0x00/to/{node}/gftp/x"),
                Some("/public/gftp/x"),
            ),
            (
                "/net/0x83f6cf1036a6ad09a382d45b2c6357628ca2fdb6/gftp/x".to_owned(),
                None,
            ),
            ("/net/me/gftp/x".to_owned(), None),
        ] {
            let found = resolve(&address, &here);
            assert_eq!(found.ok().as_deref(), leads_to, "{address}");
        }
    }

    #[test]
    fn an_address_may_say_who_calls() {
        for (address, caller) in [
            ("/from/0x00/to/0x01/gftp/x", Some("0x00")),
            ("/transfer/from/0x00/to/0x01/gftp/x", Some("0x00")),
            ("/from/0x00/gftp/x", Some("0x00")),
            ("/net/0x00/gftp/x", None),
            ("/public/from/0x00/x", None),
        ] {
            assert_eq!(sender(address), caller, "{address}");
        }
    }

    #[test]
    fn a_service_gets_the_calls_to_all_below_it() {
        let found: Vec<_> = candidates("/public/gftp/x/GetChunk").collect();
        assert_eq!(
            found,
            [
                ("/public/gftp/x", "GetChunk"),
                ("/public/gftp", "x/GetChunk"),
                ("/public", "gftp/x/GetChunk"),
                ("", "public/gftp/x/GetChunk"),
            ]
        );
    }
}
