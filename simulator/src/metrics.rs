//! Metrics: what every object is like after every step, as rows by class, as EdgeSimPy collects them.
//!
//! Rows are written as they come, so that what a run takes of memory does not grow with its steps. A row that is as it
//! was in the step before is written again as it was.

mod block;
mod csv;
mod encode;
mod json_lines;
mod msgpack;
mod rows;

use std::io::{self, Seek, SeekFrom, Write};

use crate::model::{Class, Model};
use block::{Block, Scratch};

pub use csv::Csv;
pub use encode::Encode;
pub use json_lines::JsonLines;
pub use msgpack::MsgPack;

/// A way of writing rows to a file.
pub trait Format: Default {
    /// What encodes one row.
    type Encoder: Encode + Default;

    /// The ending of its files' names.
    const EXTENSION: &'static str;

    /// What stands before all rows, if there are `rows` of them; always the same number of bytes.
    fn head(rows: u64) -> Vec<u8>;

    /// What stands before all rows and names the fields, if the format names them once.
    fn names(_names: &[&str]) -> Vec<u8> {
        Vec::new()
    }
}

/// The classes that have metrics.
const CLASSES: [Class; 6] = [
    Class::NetworkSwitch,
    Class::User,
    Class::Service,
    Class::ContainerRegistry,
    Class::EdgeServer,
    Class::NetworkFlow,
];

/// Writes the metrics of a run: a file for each class that has any.
pub struct Recorder<F: Format, W: Write + Seek, O: FnMut(Class) -> io::Result<W>> {
    open: O,
    tables: Vec<Table<F, W>>,
    scratch: Scratch<F::Encoder>,
    /// The steps that were done when rows were last written.
    recorded: Option<u32>,
    /// The classes that are left out.
    omitted: Vec<Class>,
}

struct Table<F: Format, W> {
    class: Class,
    file: W,
    blocks: Vec<Block>,
    written: Written,
    /// What had been written when all classes had been last.
    complete: Written,
    format: std::marker::PhantomData<F>,
}

#[derive(Clone, Copy, Default)]
struct Written {
    rows: u64,
    bytes: u64,
}

/// How many rows a block has.
const ROWS: usize = 256;

impl<F: Format, W: Write + Seek, O: FnMut(Class) -> io::Result<W>> Recorder<F, W, O> {
    /// A recorder that has `open` open the file of each class. Files need no large buffer: many rows are written at once.
    pub fn new(open: O) -> Self {
        Self {
            open,
            tables: Vec::new(),
            scratch: Scratch::default(),
            recorded: None,
            omitted: Vec::new(),
        }
    }

    /// Leaves classes out.
    #[must_use]
    pub fn without(mut self, classes: &[Class]) -> Self {
        self.omitted.extend_from_slice(classes);
        self
    }

    /// Writes the rows of the model as it is now. To be called before the first step and after each.
    ///
    /// # Errors
    /// If a file cannot be opened or written.
    pub fn record(&mut self, model: &Model) -> io::Result<()> {
        // Classes stand in the order in which their objects came to be.
        for class in model.classes.iter().copied().chain([Class::NetworkFlow]) {
            let wanted = CLASSES.contains(&class) && !self.omitted.contains(&class);
            if wanted && count(model, class) > 0 {
                self.record_class(model, class)?;
            }
        }
        for table in &mut self.tables {
            table.complete = table.written;
        }
        self.recorded = Some(model.steps());
        Ok(())
    }

    fn record_class(&mut self, model: &Model, class: Class) -> io::Result<()> {
        let known = self.tables.iter().position(|table| table.class == class);
        let at = match known {
            Some(at) => at,
            None => {
                let mut file = (self.open)(class)?;
                let head = [F::head(0), F::names(rows::fields(class))].concat();
                file.write_all(&head)?;
                let written = Written {
                    rows: 0,
                    bytes: head.len() as u64,
                };
                self.tables.push(Table {
                    class,
                    file,
                    blocks: Vec::new(),
                    written,
                    complete: written,
                    format: std::marker::PhantomData,
                });
                self.tables.len() - 1
            }
        };
        let table = &mut self.tables[at];
        let mut step = Vec::new();
        F::Encoder::write_step(model.steps(), &mut step);
        let count = count(model, class);
        table
            .blocks
            .resize_with(count.div_ceil(ROWS), Block::default);
        for (at, block) in table.blocks.iter_mut().enumerate() {
            let rows = at * ROWS..count.min((at + 1) * ROWS);
            let bytes = block.update(model, class, rows, &step, self.recorded, &mut self.scratch);
            table.file.write_all(bytes)?;
            table.written.bytes += bytes.len() as u64;
            table.written.rows += block.len() as u64;
        }
        Ok(())
    }

    /// Completes the files, and gives them back, each at its end. If rows could not be written, that is the end of the
    /// last step of which all could: what stands behind it is to be cut off.
    ///
    /// # Errors
    /// If one cannot be completed; the others are.
    pub fn finish(self) -> io::Result<Vec<(Class, W)>> {
        let files: Vec<_> = self.tables.into_iter().map(Table::finish).collect();
        files.into_iter().collect()
    }
}

impl<F: Format, W: Write + Seek> Table<F, W> {
    fn finish(mut self) -> io::Result<(Class, W)> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&F::head(self.complete.rows))?;
        self.file.seek(SeekFrom::Start(self.complete.bytes))?;
        self.file.flush()?;
        Ok((self.class, self.file))
    }
}

fn count(model: &Model, class: Class) -> usize {
    match class {
        Class::NetworkSwitch => model.switches.len(),
        Class::User => model.users.len(),
        Class::Service => model.services.len(),
        Class::ContainerRegistry => model.registries.len(),
        Class::EdgeServer => model.servers.len(),
        Class::NetworkFlow => model.flows.len(),
        _ => 0,
    }
}
