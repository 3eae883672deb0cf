//! How a provider answers demands: as ya-provider does unless it is told otherwise.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use ya_client_model::market::Reason;

use super::{
    offer::{ACCEPT_TIMEOUT, COEFFICIENTS, NOTE_INTERVAL, PAYMENT_TIMEOUT},
    price::Price,
};
use crate::{
    market::property::Properties,
    payment::{CHOSEN_PLATFORM, platform::address_property},
};

/// What a provider insists on: as ya-provider does, unless it is told otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long an agreement must last at least.
    pub shortest_agreement: TimeDelta,
    /// How long it may last at most.
    pub longest_agreement: TimeDelta,
    /// How long it may last at most if the requestor does not say how soon it accepts debit notes.
    pub longest_without_accept_timeout: TimeDelta,
    /// How long it may last at most if the requestor does not say how soon it pays.
    pub longest_without_payment_timeout: TimeDelta,
    /// How often there can be debit notes at most, and how soon they can be to be paid.
    pub shortest_interval: TimeDelta,
    /// How often there must be debit notes at least, and how late they can be to be paid.
    pub longest_interval: TimeDelta,
    /// How long a requestor may take to accept a debit note; whole seconds, as the next two.
    pub accept_timeout: TimeDelta,
    /// How often there are debit notes, unless the requestor wants it otherwise.
    pub note_interval: TimeDelta,
    /// How soon they are to be paid, unless the requestor wants it otherwise.
    pub payment_timeout: TimeDelta,
    /// How long an agreement may be without an activity.
    pub idle_limit: TimeDelta,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            shortest_agreement: TimeDelta::minutes(5),
            longest_agreement: TimeDelta::days(365 * 100),
            longest_without_accept_timeout: TimeDelta::minutes(30),
            longest_without_payment_timeout: TimeDelta::hours(10),
            shortest_interval: TimeDelta::seconds(1),
            longest_interval: TimeDelta::hours(24),
            accept_timeout: TimeDelta::seconds(240),
            note_interval: TimeDelta::seconds(120),
            payment_timeout: TimeDelta::seconds(120),
            idle_limit: TimeDelta::seconds(90),
        }
    }
}

/// Until when the payload is to run, in milliseconds since 1970.
pub(super) const EXPIRATION: &str = "golem.srv.comp.expiration";

impl Rules {
    /// The properties with which to counter a demand, given those of the offer; or why to reject it for good.
    pub(super) fn answer(
        &self,
        offer: &Properties,
        demand: &Properties,
        now: DateTime<Utc>,
    ) -> Result<Properties, Reason> {
        self.check_platform(offer, demand)?;
        self.check_lifetime(demand, now)?;
        let mut answer = offer.clone();
        adopt_accept_timeout(&mut answer, demand)?;
        for name in [NOTE_INTERVAL, PAYMENT_TIMEOUT] {
            self.adopt_interval(&mut answer, demand, name)?;
        }
        adopt_price(&mut answer, demand)?;
        Ok(answer)
    }

    fn check_platform(&self, offer: &Properties, demand: &Properties) -> Result<(), Reason> {
        let Some(platform) = demand.text(CHOSEN_PLATFORM) else {
            return Err(for_good(
                "the demand does not say on which platform it pays",
            ));
        };
        match offer.get(&address_property(platform)) {
            Some(_) => Ok(()),
            None => Err(for_good(format!("nobody is paid on {platform} here"))),
        }
    }

    fn check_lifetime(&self, demand: &Properties, now: DateTime<Utc>) -> Result<(), Reason> {
        let Some(expires) = expiration(demand) else {
            return Err(for_good("the demand does not say when it expires"));
        };
        let lifetime = expires - now;
        let (shortest, longest) = (self.shortest_agreement, self.longest_agreement);
        if lifetime < shortest || lifetime > longest {
            return Err(for_good(format!(
                "the agreement would expire at {expires}, in less than {} minutes or more than {} days",
                shortest.num_minutes(),
                longest.num_days(),
            )));
        }
        for (property, longest) in [
            (ACCEPT_TIMEOUT, self.longest_without_accept_timeout),
            (PAYMENT_TIMEOUT, self.longest_without_payment_timeout),
        ] {
            if lifetime > longest && demand.number(property).is_none() {
                return Err(for_good(format!(
                    "an agreement of more than {} minutes needs {property}",
                    longest.num_minutes(),
                )));
            }
        }
        Ok(())
    }

    /// Takes what the demand wants in place of what the offer has, or nothing if it wants nothing.
    fn adopt_interval(
        &self,
        answer: &mut Properties,
        demand: &Properties,
        name: &str,
    ) -> Result<(), Reason> {
        let Some(seconds) = demand.number(name) else {
            answer.remove(name);
            return Ok(());
        };
        let (shortest, longest) = (self.shortest_interval, self.longest_interval);
        let possible = shortest.num_seconds() as f64..=longest.num_seconds() as f64;
        if !possible.contains(&seconds) {
            return Err(for_good(format!(
                "{name} must be from {} to {}, not {seconds}",
                possible.start(),
                possible.end(),
            )));
        }
        if let Some(wanted) = demand.get(name) {
            answer.set(name, wanted.clone());
        }
        Ok(())
    }
}

/// When a demand says that it expires.
pub(super) fn expiration(demand: &Properties) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(demand.number(EXPIRATION)? as i64)
}

fn adopt_accept_timeout(answer: &mut Properties, demand: &Properties) -> Result<(), Reason> {
    let (Some(wanted), Some(offered)) =
        (demand.number(ACCEPT_TIMEOUT), answer.number(ACCEPT_TIMEOUT))
    else {
        return Ok(());
    };
    // A comparison with what is no number is false.
    let is_possible = wanted > 0.0 && wanted <= offered;
    if !is_possible {
        return Err(for_good(format!(
            "{ACCEPT_TIMEOUT} must be more than 0 and at most {offered}, not {wanted}"
        )));
    }
    if let Some(wanted) = demand.get(ACCEPT_TIMEOUT) {
        answer.set(ACCEPT_TIMEOUT, wanted.clone());
    }
    Ok(())
}

fn adopt_price(answer: &mut Properties, demand: &Properties) -> Result<(), Reason> {
    let Some(wanted) = demand.get(COEFFICIENTS) else {
        return Ok(());
    };
    let demanded = Price::of(demand);
    if demanded.as_ref().is_some_and(|price| !price.is_payable()) {
        return Err(for_good(format!("{COEFFICIENTS} is more than can be paid")));
    }
    let covered = demanded
        .zip(Price::of(answer))
        .is_some_and(|(demanded, offered)| demanded.covers(&offered));
    if !covered {
        return Err(for_good(format!(
            "{COEFFICIENTS} is less than what was offered"
        )));
    }
    answer.set(COEFFICIENTS, wanted.clone());
    Ok(())
}

/// Why there is no deal, and will be none.
pub(super) fn for_good(message: impl Into<String>) -> Reason {
    rejection(message, true)
}

/// Why there is no deal now; there may be one later.
pub(super) fn for_now(message: impl Into<String>) -> Reason {
    rejection(message, false)
}

fn rejection(message: impl Into<String>, is_final: bool) -> Reason {
    Reason {
        message: message.into(),
        extra: json!({"golem.proposal.rejection.is-final": is_final}),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    /// An offer, with `changes` to it.
    fn offer() -> Properties {
        let properties = json!({
            ACCEPT_TIMEOUT: 240, NOTE_INTERVAL: 120, PAYMENT_TIMEOUT: 120, COEFFICIENTS: [0.2, 0.1, 0.0],
            "golem.com.payment.platform.p.address": "0x00", "golem.runtime.name": "vm",
        });
        Properties::from_json(&properties).unwrap()
    }

    fn minutes(minutes: i64) -> Value {
        json!(minutes * 60_000)
    }

    /// What comes of a demand like this: what changes in the offer, or why not.
    fn answer(demand: Value) -> Result<Value, String> {
        let demand = Properties::from_json(&demand).unwrap();
        let answer = Rules::default().answer(&offer(), &demand, NOW);
        let before = offer().to_json();
        answer
            .map(|answer| {
                let mut changes = answer.to_json();
                let after = changes.as_object_mut().unwrap();
                after.retain(|name, value| before.get(name) != Some(value));
                for name in before.as_object().unwrap().keys() {
                    if answer.get(name).is_none() {
                        after.insert(name.clone(), Value::Null);
                    }
                }
                changes
            })
            .map_err(|reason| {
                assert_eq!(reason.extra["golem.proposal.rejection.is-final"], true);
                reason.message
            })
    }

    #[test]
    fn demands_are_answered_as_recorded() {
        let platform = CHOSEN_PLATFORM;
        for (demand, changes) in [
            // yapapi's names no intervals, so there are none.
            (
                json!({platform: "p", EXPIRATION: minutes(20), ACCEPT_TIMEOUT: 240}),
                json!({NOTE_INTERVAL: null, PAYMENT_TIMEOUT: null}),
            ),
            // golem-js's names all.
            (
                json!({platform: "p", EXPIRATION: minutes(60), ACCEPT_TIMEOUT: 120, NOTE_INTERVAL: 120, PAYMENT_TIMEOUT: 43200}),
                json!({ACCEPT_TIMEOUT: 120, PAYMENT_TIMEOUT: 43200}),
            ),
            (
                json!({platform: "p", EXPIRATION: minutes(5), COEFFICIENTS: [0.2, 0.3, 0.0]}),
                json!({COEFFICIENTS: [0.2, 0.3, 0.0], NOTE_INTERVAL: null, PAYMENT_TIMEOUT: null}),
            ),
            (
                json!({platform: "p", EXPIRATION: minutes(30), NOTE_INTERVAL: "60", PAYMENT_TIMEOUT: 1}),
                json!({NOTE_INTERVAL: "60", PAYMENT_TIMEOUT: 1}),
            ),
        ] {
            assert_eq!(answer(demand.clone()), Ok(changes), "{demand}");
        }
    }

    #[test]
    fn some_demands_are_rejected() {
        let platform = CHOSEN_PLATFORM;
        for (demand, reason) in [
            (
                json!({}),
                "the demand does not say on which platform it pays",
            ),
            (json!({platform: "q"}), "nobody is paid on q here"),
            (
                json!({platform: "p"}),
                "the demand does not say when it expires",
            ),
            (
                json!({platform: "p", EXPIRATION: 299_999}),
                "the agreement would expire at 1970-01-01 00:04:59.999 UTC, in less than 5 minutes or more than 36500 days",
            ),
            (
                json!({platform: "p", EXPIRATION: minutes(31)}),
                "an agreement of more than 30 minutes needs golem.com.payment.debit-notes.accept-timeout?",
            ),
            (
                json!({platform: "p", EXPIRATION: minutes(601), ACCEPT_TIMEOUT: 30}),
                "an agreement of more than 600 minutes needs golem.com.scheme.payu.payment-timeout-sec?",
            ),
            (
                json!({platform: "p", EXPIRATION: minutes(9), ACCEPT_TIMEOUT: 241}),
                "golem.com.payment.debit-notes.accept-timeout? must be more than 0 and at most 240, not 241",
            ),
            (
                json!({platform: "p", EXPIRATION: minutes(9), NOTE_INTERVAL: 0}),
                "golem.com.scheme.payu.debit-note.interval-sec? must be from 1 to 86400, not 0",
            ),
            (
                json!({platform: "p", EXPIRATION: minutes(9), PAYMENT_TIMEOUT: 86_401}),
                "golem.com.scheme.payu.payment-timeout-sec? must be from 1 to 86400, not 86401",
            ),
            (
                json!({platform: "p", EXPIRATION: minutes(9), COEFFICIENTS: [0.2, 0.0, 0.0]}),
                "golem.com.pricing.model.linear.coeffs is less than what was offered",
            ),
            (
                json!({platform: "p", EXPIRATION: minutes(9), COEFFICIENTS: [0.2, 1e25, 0.0]}),
                "golem.com.pricing.model.linear.coeffs is more than can be paid",
            ),
        ] {
            assert_eq!(answer(demand.clone()), Err(reason.to_owned()), "{demand}");
        }
    }

    #[test]
    fn numbers_that_are_no_times_are_rejected() {
        let numbers = [
            json!(-1e300),
            json!(-1e15),
            json!(-1),
            json!(0),
            json!(1e300),
        ];
        let texts = ["-inf", "inf", "NaN"].map(|text| json!(text));
        for number in numbers.into_iter().chain(texts) {
            for name in [ACCEPT_TIMEOUT, NOTE_INTERVAL, PAYMENT_TIMEOUT, EXPIRATION] {
                let mut demand = json!({CHOSEN_PLATFORM: "p", EXPIRATION: minutes(9)});
                demand[name] = number.clone();
                assert!(answer(demand.clone()).is_err(), "{demand}");
            }
        }
    }
}
