//! Payment: one budget, the debit notes and invoices that it pays, and the bill at the end.

mod accountant;
mod bill;
mod ledger;
mod usage;

pub(crate) use accountant::Accountant;
pub use bill::{Bill, BillRow};
pub(crate) use ledger::Life;
pub use ledger::Unpaid;
pub use usage::Usage;
