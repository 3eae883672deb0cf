//! The bill: what a budget was spent on.

use std::{fmt, time::Duration};

use super::{Unpaid, Usage};
use crate::yagna::Amount;

/// What a budget was spent on.
#[derive(Clone, Debug)]
pub struct Bill {
    /// A row for each agreement under which an activity was asked for, in their order.
    pub rows: Vec<BillRow>,
    /// All that was accepted.
    pub total: Amount,
    /// What could have been spent.
    pub budget: Amount,
}

/// What one agreement cost.
#[derive(Clone, Debug)]
pub struct BillRow {
    /// The instance's name.
    pub instance: String,
    /// The provider's name.
    pub provider: String,
    /// How long its activity lived; nothing if none came of it.
    pub time: Duration,
    /// What it used, as last reported.
    pub usage: Usage,
    /// What was accepted.
    pub cost: Amount,
    /// What the provider wanted beyond that.
    pub unpaid: Option<Unpaid>,
    /// Whether the provider has sent its invoice, and it was accepted.
    pub invoiced: bool,
}

const HEADINGS: [&str; 5] = ["instance", "provider", "time", "usage", "cost (GLM)"];

/// A table, its columns as wide as they must be, and the total against the budget.
impl fmt::Display for Bill {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let mut table: Vec<[String; 5]> = vec![HEADINGS.map(String::from)];
        table.extend(self.rows.iter().map(BillRow::cells));
        let mut widths = [0; 5];
        for cells in &table {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let [instance, provider, time, usage, cost] = widths;
        for [a, b, c, d, e] in &table {
            writeln!(
                formatter,
                "{a:<instance$}  {b:<provider$}  {c:>time$}  {d:<usage$}  {e:>cost$}"
            )?;
        }
        for row in &self.rows {
            row.remarks(formatter)?;
        }
        write!(
            formatter,
            "total: {} of {} GLM",
            self.total.normalize(),
            self.budget.normalize()
        )
    }
}

impl BillRow {
    fn cells(&self) -> [String; 5] {
        [
            self.instance.clone(),
            self.provider.clone(),
            format!("{:.1} s", self.time.as_secs_f64()),
            self.usage.to_string(),
            self.cost.normalize().to_string(),
        ]
    }

    fn remarks(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self {
            instance, provider, ..
        } = self;
        match &self.unpaid {
            Some(Unpaid { amount, reason }) => {
                let amount = amount.normalize();
                writeln!(
                    formatter,
                    "{instance}: {provider} wants {amount} GLM: {reason}"
                )
            }
            None if !self.invoiced => {
                writeln!(formatter, "{instance}: {provider} has sent no invoice yet")
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_is_a_table() {
        let row = |instance: &str, cost: &str| BillRow {
            instance: instance.into(),
            provider: "ada".into(),
            time: Duration::from_millis(15_240),
            usage: Usage::new(&["golem.usage.duration_sec"], &[15.2]),
            cost: cost.parse().unwrap(),
            unpaid: None,
            invoiced: true,
        };
        let mut bill = Bill {
            rows: vec![row("simple-service-1", "0.100000"), row("two", "0.05")],
            total: "0.15".parse().unwrap(),
            budget: "1.0".parse().unwrap(),
        };
        let table = "\
instance          provider    time  usage   cost (GLM)
simple-service-1  ada       15.2 s  15.2 s         0.1
two               ada       15.2 s  15.2 s        0.05
total: 0.15 of 1 GLM";
        assert_eq!(bill.to_string(), table);

        let amount = "2.50".parse().unwrap();
        bill.rows[0].unpaid = Some(Unpaid {
            amount,
            reason: "only 1 GLM is left".into(),
        });
        bill.rows[1].invoiced = false;
        let remarks = "\
simple-service-1: ada wants 2.5 GLM: only 1 GLM is left
two: ada has sent no invoice yet
total";
        assert!(bill.to_string().contains(remarks), "{bill}");
    }
}
