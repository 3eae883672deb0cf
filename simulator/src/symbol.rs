//! Texts that many objects share: digests, instructions, names.

use rustc_hash::FxHashMap;

use crate::arena::{Place, Symbol};

/// Texts, each once.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    texts: Vec<Box<str>>,
    known: FxHashMap<Box<str>, Symbol>,
}

impl Symbols {
    /// The symbol of a text, a new one if need be.
    pub fn intern(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.known.get(text) {
            return *symbol;
        }
        let symbol = Symbol::new(self.texts.len());
        self.texts.push(text.into());
        self.known.insert(text.into(), symbol);
        symbol
    }

    /// The symbol of a text, if any object has it.
    pub fn find(&self, text: &str) -> Option<Symbol> {
        self.known.get(text).copied()
    }

    /// The text of a symbol.
    pub fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol.index()]
    }
}
