//! What a run leaves behind in its folder.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context;
use serde::Serialize;
use simulator::metrics::{Csv, Format, JsonLines, MsgPack, Recorder};
use simulator::model::{Class, Model};
use simulator::plot::{self, Drawn, Picture};
use simulator::report::{Summary, Timeline};

use super::Metrics;

/// The name of the summary in a run's folder, by which the folder is known as one.
pub(super) const SUMMARY: &str = "summary.json";
/// The name of the timeline.
pub(super) const TIMELINE: &str = "timeline.json";

/// So many objects are worth a thread for each form of their metrics.
const MANY: usize = 2000;

/// Writes a form of the metrics.
type Form<'r> = Box<dyn FnOnce() -> io::Result<()> + Send + 'r>;
type Open = Box<dyn FnMut(Class) -> io::Result<File> + Send>;
// Many rows are written at once: files need no buffer, which could not be emptied any more on a full disk.
type Files<F> = Recorder<F, File, Open>;

/// The folder of a run.
pub(super) struct Output {
    folder: PathBuf,
    msgpack: Option<Files<MsgPack>>,
    csv: Option<Files<Csv>>,
    lines: Option<Files<JsonLines>>,
}

impl Output {
    /// Makes the folder. What an earlier run left in it is replaced.
    pub(super) fn create(
        folder: &Path,
        metrics: &[Metrics],
        omitted: &[Class],
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let mut others = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        if others.next().is_some() && !folder.join(SUMMARY).exists() {
            anyhow::bail!(
                "{}: the folder has files that are no run's; name another",
                folder.display()
            );
        }
        for picture in Picture::ALL {
            for ending in ["svg", "png"] {
                remove(&folder.join(format!("{}.{ending}", picture.name())))?;
            }
        }
        remove(&folder.join(TIMELINE))?;
        // A run that is cut off leaves a folder that is known as a run's all the same.
        write(&folder.join(SUMMARY), b"{}\n")?;
        Ok(Self {
            msgpack: wanted(folder, metrics, omitted, Metrics::Msgpack)?,
            csv: wanted(folder, metrics, omitted, Metrics::Csv)?,
            lines: wanted(folder, metrics, omitted, Metrics::Jsonl)?,
            folder: folder.to_owned(),
        })
    }

    /// Writes what the model is like now.
    pub(super) fn record(&mut self, model: &Model) -> anyhow::Result<()> {
        let mut forms: Vec<Form<'_>> = Vec::new();
        if let Some(recorder) = &mut self.msgpack {
            forms.push(Box::new(|| recorder.record(model)));
        }
        if let Some(recorder) = &mut self.csv {
            forms.push(Box::new(|| recorder.record(model)));
        }
        if let Some(recorder) = &mut self.lines {
            forms.push(Box::new(|| recorder.record(model)));
        }
        let written = if model.users.len() + model.flows.len() < MANY {
            forms.into_iter().try_for_each(|form| form())
        } else {
            thread::scope(|scope| {
                let writing: Vec<_> = forms.into_iter().map(|form| scope.spawn(form)).collect();
                (writing.into_iter())
                    .try_for_each(|thread| thread.join().expect("a form is written or fails"))
            })
        };
        written.with_context(|| format!("{}: metrics cannot be written", self.folder.display()))
    }

    /// Completes the metrics, and writes timeline, pictures and summary: each also where another cannot be written.
    pub(super) fn finish(self, summary: &Summary, timeline: &Timeline) -> anyhow::Result<()> {
        let failed = || format!("{}: metrics cannot be written", self.folder.display());
        let metrics = [
            complete(self.msgpack).with_context(failed),
            complete(self.csv).with_context(failed),
            complete(self.lines).with_context(failed),
        ];
        let pictures = draw(&self.folder, timeline);
        // For programs only, and large.
        let timeline = serde_json::to_vec(timeline)
            .map_err(anyhow::Error::from)
            .and_then(|json| write(&self.folder.join(TIMELINE), &json));
        let summary = write_json(&self.folder.join(SUMMARY), summary);
        (metrics.into_iter())
            .chain([pictures, timeline, summary])
            .collect()
    }
}

/// Completes the files of a form. Rows of a step that could not all be written are cut off.
fn complete<F: Format>(recorder: Option<Files<F>>) -> io::Result<()> {
    let Some(recorder) = recorder else {
        return Ok(());
    };
    for (_, mut file) in recorder.finish()? {
        let end = file.stream_position()?;
        file.set_len(end)?;
    }
    Ok(())
}

fn draw(folder: &Path, timeline: &Timeline) -> anyhow::Result<()> {
    for picture in Picture::ALL {
        let drawn = plot::draw(timeline, picture)?;
        write_picture(folder, picture.name(), &drawn)?;
    }
    Ok(())
}

/// A recorder of a form, if it is wanted. Files of it that an earlier run left are removed either way.
fn wanted<F: Format>(
    folder: &Path,
    metrics: &[Metrics],
    omitted: &[Class],
    form: Metrics,
) -> anyhow::Result<Option<Files<F>>> {
    let path = |class: Class| folder.join(format!("{}.{}", class.name(), F::EXTENSION));
    for class in Class::OF_DATASETS.into_iter().chain([Class::NetworkFlow]) {
        remove(&path(class))?;
    }
    let folder = folder.to_owned();
    let open: Open = Box::new(move |class| {
        let path = folder.join(format!("{}.{}", class.name(), F::EXTENSION));
        File::create(path)
    });
    Ok((metrics.contains(&form)).then(|| Recorder::new(open).without(omitted)))
}

/// Removes what an earlier run left.
fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}

/// Writes a picture in both forms.
pub(super) fn write_picture(folder: &Path, name: &str, drawn: &Drawn) -> anyhow::Result<()> {
    write(&folder.join(format!("{name}.svg")), drawn.svg.as_bytes())?;
    write(&folder.join(format!("{name}.png")), &drawn.png)
}

fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    write(path, &json)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| path.display().to_string())
}
