//! Progress for people: a bar on a terminal, plain lines elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::{Event, Progress};

/// Colours are left out where `NO_COLOR` is set.
const BAR: &str = "{prefix} [{bar:24.cyan/dim}] {pos}/{len} {wide_msg}";
const NO_BAR: &str = "{prefix} {spinner} {wide_msg}";

/// How often a bar shows that time passes.
const TICK: Duration = Duration::from_millis(120);

/// Shows progress on standard error.
pub struct Terminal {
    view: Mutex<View>,
}

enum View {
    Bar(ProgressBar),
    Lines(Lines),
}

impl Terminal {
    /// A bar if standard error is a terminal, else lines.
    pub fn stderr() -> Self {
        let view = if io::stderr().is_terminal() {
            View::Bar(ProgressBar::hidden())
        } else {
            View::Lines(Lines::default())
        };
        Self {
            view: Mutex::new(view),
        }
    }
}

impl Progress for Terminal {
    fn report(&self, event: Event) {
        match &mut *self.view.lock().unwrap_or_else(PoisonError::into_inner) {
            View::Bar(bar) => show(bar, event),
            View::Lines(lines) => {
                if let Some(line) = lines.of(event) {
                    // Nobody need see it.
                    let _ = writeln!(io::stderr(), "{line}");
                }
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let View::Bar(bar) = self.view.get_mut().unwrap_or_else(PoisonError::into_inner) {
            bar.finish_and_clear();
        }
    }
}

fn show(bar: &mut ProgressBar, event: Event) {
    match event {
        Event::Compiling {
            package,
            done,
            total,
            current,
        } => {
            let bar = shown(bar, format!("compiling {package}"), total.into());
            bar.set_position(done.into());
            bar.set_message(current);
        }
        Event::Step {
            number,
            total,
            text,
        } => {
            let bar = shown(bar, "building the image".to_owned(), total as u64);
            bar.set_position(number as u64);
            bar.set_message(text);
        }
        Event::Pulling { image, done, total } => {
            let bar = shown(bar, format!("pulling {image}"), total as u64);
            bar.set_position(done as u64);
        }
        Event::Stage { text } => bar.set_message(text),
        Event::Output(line) => bar.set_message(line),
        Event::Packing => bar.set_message("packing"),
        Event::Compiled { .. } | Event::Failed => bar.finish_and_clear(),
        Event::Ready { path, is_new } => {
            bar.finish_and_clear();
            let _ = writeln!(io::stderr(), "{}", ready(&path, is_new));
        }
    }
}

/// The bar for what is done now: a new one when that is something else.
fn shown(bar: &mut ProgressBar, doing: String, total: u64) -> &ProgressBar {
    if bar.is_finished() || bar.is_hidden() || bar.prefix() != doing || bar.length() != Some(total)
    {
        bar.finish_and_clear();
        *bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let template = if total == 0 { NO_BAR } else { BAR };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(doing);
        bar.enable_steady_tick(TICK);
    }
    bar
}

fn ready(path: &std::path::Path, is_new: bool) -> String {
    let found = if is_new { "built" } else { "found" };
    format!("{found} the image {}", path.display())
}

/// Says in lines what a bar would show, and not all of it.
#[derive(Default)]
struct Lines {
    /// Quarters of the crates that are compiled.
    quarters: Option<u32>,
}

impl Lines {
    fn of(&mut self, event: Event) -> Option<String> {
        match event {
            Event::Compiling {
                package,
                done,
                total,
                ..
            } => {
                let quarters = (4 * done).checked_div(total).unwrap_or(0);
                if self.quarters.is_some_and(|said| said >= quarters) {
                    return None;
                }
                let first = self.quarters.is_none();
                self.quarters = Some(quarters);
                Some(match first {
                    true => format!("compiling {package}"),
                    false => format!("compiling {package}: {done} of {total} crates"),
                })
            }
            Event::Compiled { package } => {
                self.quarters.take().map(|_| format!("compiled {package}"))
            }
            Event::Step {
                number,
                total,
                text,
            } => Some(format!("step {number} of {total}: {text}")),
            Event::Pulling { image, done, total } => {
                Some(format!("pulling {image}: {done} of {total} layers"))
            }
            Event::Stage { text } => Some(text),
            Event::Output(line) => Some(format!("  {line}")),
            Event::Packing => Some("packing the image".to_owned()),
            Event::Ready { path, is_new } => Some(ready(&path, is_new)),
            Event::Failed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_matters_once() {
        let compiling = |done, total| Event::Compiling {
            package: "service".into(),
            done,
            total,
            current: "syn".into(),
        };
        let compiled = || Event::Compiled {
            package: "service".into(),
        };
        let step = Event::Step {
            number: 1,
            total: 2,
            text: "COPY a b".into(),
        };
        let ready = |is_new| Event::Ready {
            path: "/images/x.gvmi".into(),
            is_new,
        };
        let script = [
            // Everything was compiled before.
            (compiled(), None),
            (compiling(0, 0), Some("compiling service")),
            (compiling(0, 8), None),
            (compiling(1, 8), None),
            (compiling(2, 8), Some("compiling service: 2 of 8 crates")),
            (compiling(3, 8), None),
            (compiling(7, 8), Some("compiling service: 7 of 8 crates")),
            (compiled(), Some("compiled service")),
            (step, Some("step 1 of 2: COPY a b")),
            (Event::Output("hello".into()), Some("  hello")),
            (Event::Packing, Some("packing the image")),
            (ready(true), Some("built the image /images/x.gvmi")),
            (ready(false), Some("found the image /images/x.gvmi")),
            (Event::Failed, None),
        ];
        let mut lines = Lines::default();
        for (event, line) in script {
            assert_eq!(lines.of(event.clone()).as_deref(), line, "{event:?}");
        }
    }
}
