//! Which demands and offers can suit each other at all, found without a look at all of them.
//!
//! Most ask for properties that are certain texts, `(golem.node.debug.subnet=public)`: whoever has such a property is
//! found by it, and whoever asks for it likewise. What is found is then looked at in full.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{
    constraint::{Constraint, Operator},
    matching::Terms,
    property::Properties,
};
use crate::id::SubscriptionId;

/// The demands, or the offers, that stand.
#[derive(Debug, Default)]
pub(super) struct Index {
    all: BTreeSet<SubscriptionId>,
    /// Who has a property, by its name.
    having: HashMap<String, Having>,
    /// Who asks for a property to be a certain text; each is here once, by what fewest others ask for.
    asking: HashMap<(String, String), BTreeSet<SubscriptionId>>,
    /// Who asks for nothing of the kind.
    open: BTreeSet<SubscriptionId>,
    /// Under what each is in `asking`.
    asks: BTreeMap<SubscriptionId, (String, String)>,
}

#[derive(Debug, Default)]
struct Having {
    /// Whose property is this text.
    text: HashMap<String, BTreeSet<SubscriptionId>>,
    /// Whose property is something else, which may suit all the same: a number, a list.
    other: BTreeSet<SubscriptionId>,
}

impl Index {
    /// Notes one that stands from now on.
    pub(super) fn insert(&mut self, id: &SubscriptionId, terms: &Terms) {
        self.all.insert(id.clone());
        for (name, value) in terms.properties.iter() {
            self.having_mut(name, value).insert(id.clone());
        }
        let asked = |key: &(String, String)| self.asking.get(key).map_or(0, BTreeSet::len);
        match requirements(&terms.constraint)
            .into_iter()
            .min_by_key(asked)
        {
            None => {
                self.open.insert(id.clone());
            }
            Some(key) => {
                self.asks.insert(id.clone(), key.clone());
                self.asking.entry(key).or_default().insert(id.clone());
            }
        }
    }

    /// Forgets one.
    pub(super) fn remove(&mut self, id: &SubscriptionId, terms: &Terms) {
        self.all.remove(id);
        self.open.remove(id);
        for (name, value) in terms.properties.iter() {
            self.forget(id, name, value);
        }
        if let Some(key) = self.asks.remove(id)
            && let Some(ids) = self.asking.get_mut(&key)
        {
            ids.remove(id);
            if ids.is_empty() {
                self.asking.remove(&key);
            }
        }
    }

    /// Those that `terms` may suit, in their order: all that do are among them.
    pub(super) fn candidates(&self, terms: &Terms) -> BTreeSet<SubscriptionId> {
        let has = requirements(&terms.constraint)
            .into_iter()
            .map(|(name, text)| self.with(&name, &text))
            .min_by_key(BTreeSet::len);
        let asks = self.asking_for(&terms.properties);
        match has {
            Some(has) if has.len() <= asks.len() => has,
            _ => asks,
        }
    }

    fn having_mut(&mut self, name: &str, value: &Value) -> &mut BTreeSet<SubscriptionId> {
        let plain = base(name) == name;
        let having = self.having.entry(base(name).to_owned()).or_default();
        match value {
            Value::String(text) if plain => having.text.entry(text.clone()).or_default(),
            _ => &mut having.other,
        }
    }

    fn forget(&mut self, id: &SubscriptionId, name: &str, value: &Value) {
        self.having_mut(name, value).remove(id);
        let base = base(name);
        let Some(having) = self.having.get_mut(base) else {
            return;
        };
        if let Some(text) = value.as_str()
            && having.text.get(text).is_some_and(BTreeSet::is_empty)
        {
            having.text.remove(text);
        }
        if having.text.is_empty() && having.other.is_empty() {
            self.having.remove(base);
        }
    }

    /// Those whose property may be that text.
    fn with(&self, name: &str, text: &str) -> BTreeSet<SubscriptionId> {
        let Some(having) = self.having.get(name) else {
            return BTreeSet::new();
        };
        let exactly = having.text.get(text).into_iter().flatten();
        exactly.chain(&having.other).cloned().collect()
    }

    /// Those who may ask for nothing that is not among `properties`.
    fn asking_for(&self, properties: &Properties) -> BTreeSet<SubscriptionId> {
        let others = properties.iter().filter(|(name, value)| {
            // What is no text may suit whatever is asked of it.
            !(value.is_string() && base(name) == *name)
        });
        let loose: BTreeSet<&str> = others.map(|(name, _)| base(name)).collect();
        let asked = self.asking.iter().filter(|((name, text), _)| {
            loose.contains(name.as_str()) || properties.text(name) == Some(text)
        });
        let asked = asked.flat_map(|(_, ids)| ids);
        asked.chain(&self.open).cloned().collect()
    }
}

/// A property's name without what says how it is to be read.
fn base(name: &str) -> &str {
    super::property::Kind::split(name, '@').0
}

/// The properties that must be certain texts, if they are texts, for a constraint to hold.
fn requirements(constraint: &Constraint) -> Vec<(String, String)> {
    match constraint {
        Constraint::All(parts) => parts.iter().flat_map(requirements).collect(),
        Constraint::Compare {
            attribute,
            operator: Operator::Equal,
            value,
        } if attribute.kind.is_none()
            && attribute.aspect.is_none()
            // Such a name means a property of exactly that name, which is found by its base.
            && base(&attribute.name) == attribute.name
            && !value.contains('*') =>
        {
            vec![(attribute.name.clone(), value.clone())]
        }
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::id::Ids;

    fn terms() -> impl Strategy<Value = Terms> {
        let value = prop_oneof![
            prop::sample::select(vec!["x", "y", "1", "1.0"]).prop_map(|text| json!(text)),
            (0..2).prop_map(|number| json!(number)),
            Just(json!(["x", "y"])),
            Just(json!(true)),
        ];
        let name = prop::sample::select(vec!["a", "b", "a@d", "b@v"]);
        let properties = prop::collection::btree_map(name, value, 0..4);
        let constraint = prop::sample::select(vec![
            "(a=x)",
            "(b=y)",
            "(a=1)",
            "(a=*)",
            "(a$d=1)",
            "(b>=1)",
            "(a=x*)",
            "(!(a=y))",
            "(|(a=x)(b=x))",
            "(&(a=x)(b=y))",
            "(b=true)",
            "(a@d=x)",
            "(b@v=1)",
        ]);
        let constraints = prop::collection::vec(constraint, 0..3);
        (properties, constraints).prop_map(|(properties, constraints)| {
            let constraints = format!("(&{})", constraints.concat());
            Terms::new(&json!(properties), &constraints).unwrap()
        })
    }

    proptest! {
        /// Whatever suits is found by the index, also after others have left.
        #[test]
        fn nothing_that_suits_is_missed(standing in prop::collection::vec((terms(), any::<bool>()), 0..30), new in terms()) {
            let (mut index, mut ids) = (Index::default(), Ids::seeded(1));
            let standing: Vec<_> = standing.into_iter().map(|(terms, leaves)| (ids.subscription(), terms, leaves)).collect();
            for (id, terms, _) in &standing {
                index.insert(id, terms);
            }
            for (id, terms, _) in standing.iter().filter(|(_, _, leaves)| *leaves) {
                index.remove(id, terms);
            }
            let candidates = index.candidates(&new);
            for (id, terms, leaves) in &standing {
                prop_assert!(!(*leaves && candidates.contains(id)));
                prop_assert!(*leaves || !terms.suit(&new) || candidates.contains(id), "{:?} {:?}", terms, new);
            }
        }
    }
}
