//! Payment: one budget, the debit notes and invoices that it pays, and the bill at the end.

mod accountant;
mod bill;
mod ledger;
mod overdraft;
mod usage;

pub(crate) use accountant::Accountant;
pub use bill::{Bill, BillRow};
pub(crate) use ledger::Life;
pub use ledger::Unpaid;
pub(crate) use overdraft::Overdraft;
pub use usage::Usage;
