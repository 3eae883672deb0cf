//! What a handler may know of where it runs.

use std::sync::Arc;

use crate::{
    activity::Activity,
    id::{ActivityId, AgreementId, NodeId},
    market::LinearPrice,
    network::NetworkNode,
    payment::Usage,
    yagna::{Agreement, Amount, YagnaError},
};

/// What a handler may know of where it runs.
#[derive(Clone)]
pub struct WorkContext {
    pub(super) instance_name: Arc<str>,
    pub(super) activity: Activity,
}

impl WorkContext {
    /// The instance's name: the cluster's and a number from 1.
    pub fn instance_name(&self) -> &str {
        &self.instance_name
    }

    /// The provider's name, as it calls itself.
    pub fn provider_name(&self) -> &str {
        self.agreement().provider_name()
    }

    /// The provider.
    pub fn provider_id(&self) -> &NodeId {
        &self.agreement().provider
    }

    /// The activity that the instance runs in.
    pub fn activity_id(&self) -> &ActivityId {
        &self.activity.id
    }

    /// The instance's place in its cluster's network, if that is in one.
    pub fn network_node(&self) -> Option<&NetworkNode> {
        self.activity.network_node.as_ref()
    }

    /// The agreement that it is paid by.
    pub fn agreement_id(&self) -> &AgreementId {
        &self.agreement().id
    }

    /// What the activity has used so far.
    ///
    /// # Errors
    /// If the daemon or the provider does not answer, or the activity has ended.
    pub async fn usage(&self) -> Result<Usage, YagnaError> {
        let values = self.activity.usage().await?;
        Ok(Usage::new(&self.agreement().usage_vector(), &values))
    }

    /// What a usage costs by the agreement's price; none if the price is not linear.
    pub fn cost(&self, usage: &Usage) -> Option<Amount> {
        let values: Vec<f64> = usage.counters.iter().map(|(_, value)| *value).collect();
        LinearPrice::of(&self.agreement().offer)?.cost(&values)
    }

    fn agreement(&self) -> &Agreement {
        &self.activity.agreement
    }
}
