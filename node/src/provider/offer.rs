//! What a provider offers.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use ya_client_model::NodeId;

use super::{spec::Provider, template::LIMITS};
use crate::{
    market::{Terms, TermsError, property::Properties},
    payment::{
        allocation::{PROTOCOL_VERSION, PROTOCOL_VERSION_PROPERTY},
        platform::Platform,
    },
};

/// How long a requestor may take at most to accept a debit note, in seconds.
pub(super) const ACCEPT_TIMEOUT: &str = "golem.com.payment.debit-notes.accept-timeout?";
/// How often it gets one, in seconds.
pub(super) const NOTE_INTERVAL: &str = "golem.com.scheme.payu.debit-note.interval-sec?";
/// How long it may take at most to pay, in seconds.
pub(super) const PAYMENT_TIMEOUT: &str = "golem.com.scheme.payu.payment-timeout-sec?";
/// What each counter of the usage vector costs, and then what the start costs.
pub(super) const COEFFICIENTS: &str = "golem.com.pricing.model.linear.coeffs";
/// What is counted.
pub(super) const USAGE_VECTOR: &str = "golem.com.usage.vector";

/// A provider's offer, for money on `platforms`: that of a VM provider, as far as it is true. `limits` hold for each
/// activity, as far as that is known.
pub(super) fn terms(
    provider: &Provider,
    id: NodeId,
    platforms: &[Platform],
    limits: Option<&Value>,
    now: DateTime<Utc>,
) -> Result<Terms, TermsError> {
    let constraints = match &provider.subnet {
        None => String::new(),
        Some(subnet) => format!("(golem.node.debug.subnet={subnet})"),
    };
    let constraints = format!(
        "(&(golem.srv.comp.expiration>{}){constraints})",
        now.timestamp_millis()
    );
    let properties = properties(provider, id, platforms, limits);
    Terms::new(&properties.to_json(), &constraints)
}

fn properties(
    provider: &Provider,
    id: NodeId,
    platforms: &[Platform],
    limits: Option<&Value>,
) -> Properties {
    let (prices, rules) = (provider.prices, &provider.rules);
    let mut offer = Properties::default();
    offer.set(
        "golem.activity.caps.transfer.protocol",
        json!(["gftp", "http", "https"]),
    );
    offer.set("golem.activity.caps.transfer.report-progress", true);
    offer.set("golem.activity.caps.deploy.report-progress", true);
    offer.set(ACCEPT_TIMEOUT, rules.accept_timeout.num_seconds());
    for platform in platforms {
        offer.set(platform.address_property(), id.to_string());
    }
    offer.set(PROTOCOL_VERSION_PROPERTY, PROTOCOL_VERSION);
    offer.set("golem.com.pricing.model", "linear");
    // Floats even where they are whole: there are clients that take nothing else.
    offer.set(
        COEFFICIENTS,
        json!([prices.second, prices.cpu_second, prices.start]),
    );
    offer.set("golem.com.scheme", "payu");
    offer.set(NOTE_INTERVAL, rules.note_interval.num_seconds());
    offer.set(PAYMENT_TIMEOUT, rules.payment_timeout.num_seconds());
    offer.set(
        USAGE_VECTOR,
        json!(["golem.usage.duration_sec", "golem.usage.cpu_sec"]),
    );
    offer.set("golem.inf.cpu.architecture", std::env::consts::ARCH);
    offer.set("golem.inf.cpu.cores", provider.cores);
    offer.set("golem.inf.cpu.threads", provider.cores);
    offer.set("golem.inf.mem.gib", provider.memory_gib);
    offer.set("golem.inf.storage.gib", provider.storage_gib);
    offer.set("golem.node.debug.subnet", provider.subnet_tag());
    offer.set("golem.node.id.name", provider.name.as_str());
    offer.set("golem.node.net.is-public", false);
    // A manifest cannot be had: it is not promised.
    offer.set("golem.runtime.capabilities", json!(["vpn"]));
    if let Some(limits) = limits {
        offer.set(LIMITS, limits.clone());
    }
    offer.set("golem.runtime.name", "vm");
    offer.set("golem.runtime.version", env!("CARGO_PKG_VERSION"));
    offer.set("golem.srv.caps.multi-activity", true);
    offer.extend(&provider.properties);
    offer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::Ids, payment::CHOSEN_PLATFORM};

    fn demand(subnet: Option<&str>) -> Terms {
        let mut properties =
            json!({"golem.srv.comp.expiration": 1_900_000_000_000_u64, CHOSEN_PLATFORM: "x"});
        let mut constraints = "(golem.runtime.name=vm)(golem.inf.mem.gib>=0.5)(golem.inf.cpu.threads>=1)\
            (golem.com.payment.platform.erc20-holesky-tglm.address=*)(golem.com.payment.protocol.version>1)"
            .to_owned();
        if let Some(subnet) = subnet {
            properties["golem.node.debug.subnet"] = json!(subnet);
            constraints += &format!("(golem.node.debug.subnet={subnet})");
        }
        Terms::new(&properties, &format!("(&{constraints})")).unwrap()
    }

    #[test]
    fn an_offer_suits_demands_for_images_in_its_subnet() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let offer = |subnet: Option<&str>| {
            let provider = Provider::new("p").subnet(subnet.map(str::to_owned));
            let id = Ids::seeded(1).node();
            terms(&provider, id, &Platform::known(), None, now).unwrap()
        };
        for (provider, requestor, suits) in [
            (None, None, true),
            (None, Some("public"), true),
            (None, Some("mine"), false),
            (Some("mine"), Some("mine"), true),
            (Some("mine"), Some("public"), false),
            (Some("mine"), None, false),
        ] {
            let suit = offer(provider).suit(&demand(requestor));
            assert_eq!(suit, suits, "{provider:?} {requestor:?}");
        }
    }

    #[test]
    fn coefficients_are_floats() {
        let prices = super::super::Prices {
            start: 0.0,
            second: 1.0,
            cpu_second: 0.5,
        };
        let provider = Provider::new("p").prices(prices);
        let offer = properties(&provider, Ids::seeded(1).node(), &[], None);
        assert_eq!(
            offer.get(COEFFICIENTS).unwrap().to_string(),
            "[1.0,0.5,0.0]"
        );
    }
}
