//! What is kept of a command's output, and what of it is told as it comes.

use ya_client_model::activity::{
    CommandOutput,
    exe_script_command::{CaptureFormat, CaptureMode, CapturePart},
};

/// The most that a result has of an output, in bytes: a result is one message.
const MOST: usize = 4 << 20;
/// The same of an output that is streamed: all of it is in events.
const MOST_OF_STREAM: usize = 1 << 20;

/// One output of a command, as its capture asks for.
#[derive(Debug)]
pub(super) struct Recorder {
    format: CaptureFormat,
    kept: Kept,
    /// How many bytes of all are asked for.
    asked: usize,
    /// How many bytes there were.
    seen: u64,
    /// Whether every piece is told of; the beginning of a character that the last piece has cut is kept for the next.
    stream: Option<Vec<u8>>,
}

impl Recorder {
    /// All of it, as text, and told as it comes.
    pub(super) fn of_everything() -> Self {
        Self {
            format: CaptureFormat::Str,
            kept: Kept::new(&CapturePart::Tail(MOST_OF_STREAM)),
            asked: usize::MAX,
            seen: 0,
            stream: Some(Vec::new()),
        }
    }

    pub(super) fn of(mode: &CaptureMode) -> Self {
        const ALL: usize = usize::MAX;
        let (format, asked, part, stream) = match mode {
            CaptureMode::AtEnd { part, format } => {
                let (asked, part) = match part.clone() {
                    None => (ALL, CapturePart::Head(MOST)),
                    Some(CapturePart::Head(bytes)) => (bytes, CapturePart::Head(bytes.min(MOST))),
                    Some(CapturePart::Tail(bytes)) => (bytes, CapturePart::Tail(bytes.min(MOST))),
                    Some(CapturePart::HeadTail(bytes)) => {
                        (bytes, CapturePart::HeadTail(bytes.min(MOST)))
                    }
                };
                (format, asked, part, None)
            }
            // A limit is for what is held until the end: its last bytes. The stream has all.
            CaptureMode::Stream { limit, format } => {
                let asked = limit.unwrap_or(ALL);
                let part = CapturePart::Tail(asked.min(MOST_OF_STREAM));
                (format, asked, part, Some(Vec::new()))
            }
        };
        Self {
            format: format.clone().unwrap_or_default(),
            kept: Kept::new(&part),
            asked,
            seen: 0,
            stream,
        }
    }

    /// What is missing from what was kept, if it is less than was asked for.
    pub(super) fn shortfall(&self, name: &str) -> Option<String> {
        let wanted = self.seen.min(self.asked as u64);
        let kept = self.kept.length().min(wanted);
        (kept < wanted).then(|| match self.stream {
            None => format!("of {wanted} bytes of {name}, {kept} are kept; a stream has all"),
            Some(_) => format!(
                "of {wanted} bytes of {name}, the last {kept} are kept; its events have all"
            ),
        })
    }

    /// Takes a piece in; what is to be told of now, if anything is.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<CommandOutput> {
        self.seen += bytes.len() as u64;
        self.kept.push(bytes);
        let cut = self.stream.as_mut()?;
        let mut piece = std::mem::take(cut);
        piece.extend_from_slice(bytes);
        if self.format == CaptureFormat::Str {
            let whole = piece.len() - length_of_cut_character(&piece);
            *cut = piece.split_off(whole);
        }
        told(&self.format, piece)
    }

    /// The output has ended: what is still to be told of, and what was kept; nothing if there was nothing.
    pub(super) fn finish(self) -> (Option<CommandOutput>, Option<CommandOutput>) {
        let rest = self.stream.and_then(|cut| told(&self.format, cut));
        let kept = self.kept.into_bytes();
        let kept = (!kept.is_empty()).then(|| match self.format {
            CaptureFormat::Str => CommandOutput::Str(text(kept)),
            CaptureFormat::Bin => CommandOutput::Bin(kept),
        });
        (rest, kept)
    }
}

fn told(format: &CaptureFormat, piece: Vec<u8>) -> Option<CommandOutput> {
    (!piece.is_empty()).then(|| match format {
        CaptureFormat::Str => CommandOutput::Str(String::from_utf8_lossy(&piece).into_owned()),
        CaptureFormat::Bin => CommandOutput::Bin(piece),
    })
}

/// Text as it is; what is no UTF-8, one character a byte, so that nothing of it is lost.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect())
}

/// How many bytes at the end may be the beginning of a character.
fn length_of_cut_character(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last();
    let invalid = last.map_or(&[][..], |chunk| chunk.invalid());
    // What is invalid at the very end is incomplete, unless no byte could complete it.
    let is_cut = invalid.first().is_some_and(|&first| {
        let length = match first {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 0,
        };
        invalid.len() < length
    });
    if is_cut { invalid.len() } else { 0 }
}

/// A beginning and an end, of which both may have a limit.
#[derive(Debug)]
struct Kept {
    head: Vec<u8>,
    head_limit: usize,
    tail: Vec<u8>,
    tail_limit: usize,
}

impl Kept {
    fn new(part: &CapturePart) -> Self {
        let (head_limit, tail_limit) = match *part {
            CapturePart::Head(bytes) => (bytes, 0),
            CapturePart::Tail(bytes) => (0, bytes),
            CapturePart::HeadTail(bytes) => (bytes.div_ceil(2), bytes / 2),
        };
        Self {
            head: Vec::new(),
            head_limit,
            tail: Vec::new(),
            tail_limit,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = self.head_limit - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        self.tail
            .extend_from_slice(&rest[rest.len().saturating_sub(self.tail_limit)..]);
        // Moved seldom, so that many small pieces do not cost a move each.
        if self.tail.len() >= self.tail_limit.saturating_mul(2) {
            self.cut_tail();
        }
    }

    /// How many bytes are kept in the end.
    fn length(&self) -> u64 {
        (self.head.len() + self.tail.len().min(self.tail_limit)) as u64
    }

    fn cut_tail(&mut self) {
        let excess = self.tail.len().saturating_sub(self.tail_limit);
        self.tail.drain(..excess);
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.cut_tail();
        let mut bytes = self.head;
        bytes.append(&mut self.tail);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn recorder(mode: Value) -> Recorder {
        Recorder::of(&serde_json::from_value(mode).expect("a capture mode"))
    }

    /// What is told of each piece and after the last, and what is kept, as JSON.
    fn record(mut recorder: Recorder, pieces: &[&[u8]]) -> (Vec<Value>, Value) {
        let mut told: Vec<_> = pieces
            .iter()
            .filter_map(|piece| recorder.push(piece))
            .collect();
        let (rest, kept) = recorder.finish();
        told.extend(rest);
        (
            told.into_iter().map(|piece| json!(piece)).collect(),
            json!(kept),
        )
    }

    #[test]
    fn what_is_asked_for_is_kept() {
        let pieces: [&[u8]; 4] = [b"ab", b"cde", b"", b"f"];
        let cases = [
            (json!({"atEnd": {}}), json!("abcdef")),
            (json!({"atEnd": {"format": "string"}}), json!("abcdef")),
            (
                json!({"atEnd": {"format": "bin"}}),
                json!([97, 98, 99, 100, 101, 102]),
            ),
            (json!({"atEnd": {"head": 3}}), json!("abc")),
            (json!({"atEnd": {"head": 99}}), json!("abcdef")),
            (json!({"atEnd": {"head": 0}}), json!(null)),
            (json!({"atEnd": {"tail": 1}}), json!("f")),
            (json!({"atEnd": {"tail": 5}}), json!("bcdef")),
            (json!({"atEnd": {"tail": 99}}), json!("abcdef")),
            (json!({"atEnd": {"headTail": 4}}), json!("abef")),
            (json!({"atEnd": {"headTail": 3}}), json!("abf")),
            (json!({"atEnd": {"headTail": 99}}), json!("abcdef")),
            (json!({"stream": {}}), json!("abcdef")),
            (json!({"stream": {"limit": 2}}), json!("ef")),
        ];
        for (mode, kept) in cases {
            assert_eq!(record(recorder(mode.clone()), &pieces).1, kept, "{mode}");
        }
    }

    #[test]
    fn a_stream_is_told_as_it_comes_and_nothing_else_is() {
        let pieces: [&[u8]; 3] = [b"one ", b"two ", b"three"];
        let told = |mode| record(recorder(mode), &pieces).0;
        let all = vec![json!("one "), json!("two "), json!("three")];
        assert_eq!(told(json!({"stream": {}})), all);
        assert_eq!(told(json!({"stream": {"limit": 1}})), all);
        assert_eq!(told(json!({"atEnd": {}})), Vec::<Value>::new());
        assert_eq!(record(Recorder::of_everything(), &pieces).0, all);
    }

    #[test]
    fn characters_are_not_cut() {
        let text = "aä€😀z";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let bytes = text.as_bytes();
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                let (told, kept) = record(recorder(json!({"stream": {}})), &pieces);
                let told: String = told.iter().filter_map(Value::as_str).collect();
                assert_eq!((&*told, kept), (text, json!(text)), "{first} {second}");
            }
        }
    }

    #[test]
    fn what_is_no_text_is_not_lost() {
        let (told, kept) = record(recorder(json!({"stream": {}})), &[b"a\xff", b"\xe2\x82"]);
        assert_eq!(told, [json!("a\u{fffd}"), json!("\u{fffd}")]);
        assert_eq!(kept, json!("a\u{ff}\u{e2}\u{82}"));
        let (told, _) = record(
            recorder(json!({"stream": {"format": "bin"}})),
            &[b"\xff", b"\xe2"],
        );
        assert_eq!(told, [json!([255]), json!([226])]);
    }

    #[test]
    fn what_is_too_much_for_a_result_is_said() {
        let piece = vec![b'x'; 1 << 20];
        let shortfall = |mode: Value, pieces: usize| {
            let mut recorder = recorder(mode);
            for _ in 0..pieces {
                recorder.push(&piece);
            }
            let shortfall = recorder.shortfall("stdout");
            let kept = recorder.finish().1.expect("an output");
            (shortfall, json!(kept).as_str().map_or(0, str::len))
        };
        let all = |mode, pieces, kept| assert_eq!(shortfall(mode, pieces), (None, kept));
        all(json!({"atEnd": {}}), 4, 4 << 20);
        all(json!({"atEnd": {"head": 3}}), 9, 3);
        all(json!({"atEnd": {"headTail": 4 << 20}}), 9, 4 << 20);
        all(json!({"stream": {"limit": 1 << 20}}), 9, 1 << 20);
        let (message, kept) = shortfall(json!({"atEnd": {}}), 5);
        let expected = "of 5242880 bytes of stdout, 4194304 are kept; a stream has all";
        assert_eq!((message.as_deref(), kept), (Some(expected), 4 << 20));
        let (message, kept) = shortfall(json!({"stream": {}}), 5);
        let expected = "of 5242880 bytes of stdout, the last 1048576 are kept; its events have all";
        assert_eq!((message.as_deref(), kept), (Some(expected), 1 << 20));
        assert!(
            shortfall(json!({"atEnd": {"tail": 5 << 20}}), 5)
                .0
                .is_some()
        );
    }

    #[test]
    fn no_output_is_none() {
        for mode in [json!({"atEnd": {}}), json!({"stream": {"format": "bin"}})] {
            assert_eq!(record(recorder(mode), &[b""]), (vec![], json!(null)));
        }
    }
}
