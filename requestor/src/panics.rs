//! Panics of a program's own code, which are caught so that what is held is still given back.

use std::any::Any;

/// What a panic says.
pub(crate) fn last_words(panic: &(dyn Any + Send)) -> &str {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    said.or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}
