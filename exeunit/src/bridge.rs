//! Between streams of the async world and the readers and writers of threads.

use std::io::{self, Read, Write};

use futures::Stream;
use prost::bytes::{Buf, Bytes};
use tokio::sync::mpsc;

/// How many pieces may be on the way.
const PIECES: usize = 4;
/// How large a piece is.
const PIECE: usize = 64 << 10;

/// Where a thread writes to.
pub(crate) struct Sink<E>(mpsc::Sender<Result<Bytes, E>>);

/// From a thread: what it writes to, and what arrives.
pub(crate) fn out<E: Send + 'static>() -> (Sink<E>, impl Stream<Item = Result<Bytes, E>> + Send) {
    let (sink, pieces) = mpsc::channel(PIECES);
    let pieces = futures::stream::unfold(pieces, |mut pieces| async move {
        Some((pieces.recv().await?, pieces))
    });
    (Sink(sink), pieces)
}

impl<E> Sink<E> {
    /// Whether anybody reads what comes out; if not, the thread has nothing to do any more.
    pub(crate) fn is_read(&self) -> bool {
        !self.0.is_closed()
    }

    /// Tells whoever reads if the thread has failed.
    pub(crate) fn end(self, result: Result<(), E>) {
        if let Err(error) = result {
            // Who has gone does not need to know.
            let _ = self.0.blocking_send(Err(error));
        }
    }
}

/// Writes to a [`Sink`] in pieces of a good size.
pub(crate) struct SinkWriter<'a, E> {
    sink: &'a Sink<E>,
    buffer: Vec<u8>,
}

impl<'a, E> SinkWriter<'a, E> {
    pub(crate) fn new(sink: &'a Sink<E>) -> Self {
        Self {
            sink,
            buffer: Vec::with_capacity(PIECE),
        }
    }
}

impl<E> Write for SinkWriter<'_, E> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..length]);
        if self.buffer.len() == PIECE {
            self.flush()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        let sent = self.sink.0.blocking_send(Ok(piece.into()));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Where the async world sends bytes to. A thread that reads fails unless this is ended before it is dropped.
pub(crate) struct Source(mpsc::Sender<Option<Bytes>>);

/// Into a thread: where bytes are sent to, and where it reads them.
pub(crate) fn into() -> (Source, SourceReader) {
    let (source, pieces) = mpsc::channel(PIECES);
    let reader = SourceReader {
        pieces,
        piece: Bytes::new(),
        is_at_end: false,
    };
    (Source(source), reader)
}

/// The thread does not read any more.
pub(crate) struct NotRead;

impl Source {
    pub(crate) async fn send(&self, bytes: Bytes) -> Result<(), NotRead> {
        self.0.send(Some(bytes)).await.map_err(|_| NotRead)
    }

    /// There is no more.
    pub(crate) async fn end(self) {
        // A thread that does not read any more needs no end.
        let _ = self.0.send(None).await;
    }
}

/// Reads what is sent to a [`Source`].
pub(crate) struct SourceReader {
    pieces: mpsc::Receiver<Option<Bytes>>,
    piece: Bytes,
    is_at_end: bool,
}

impl Read for SourceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.is_at_end {
            match self.pieces.blocking_recv() {
                Some(Some(piece)) => self.piece = piece,
                Some(None) => self.is_at_end = true,
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        let length = buffer.len().min(self.piece.len());
        buffer[..length].copy_from_slice(&self.piece[..length]);
        self.piece.advance(length);
        Ok(length)
    }
}
