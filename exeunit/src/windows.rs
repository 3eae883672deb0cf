//! Streams of events whose readers say how much they can take.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Semaphore, watch};

use crate::gsb::message::Window;

/// The streams that have a window.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    open: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
    /// Changes when the bus is lost, and with it all who read.
    bus: watch::Receiver<bool>,
}

/// How much of a stream may be sent. It is closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Pane {
    windows: Windows,
    stream_id: String,
    events: Arc<Semaphore>,
}

impl Windows {
    /// Without any yet.
    pub(crate) fn new(bus: watch::Receiver<bool>) -> Self {
        Self {
            open: Arc::default(),
            bus,
        }
    }

    /// Opens a stream; none if one of that name is open.
    pub(crate) fn open(&self, window: Window) -> Option<Pane> {
        let mut windows = self.clone();
        windows.bus.mark_unchanged();
        let events = Arc::new(Semaphore::new(count(window.events)));
        let mut open = self.lock();
        if open.contains_key(&window.stream_id) {
            return None;
        }
        open.insert(window.stream_id.clone(), Arc::clone(&events));
        drop(open);
        Some(Pane {
            windows,
            stream_id: window.stream_id,
            events,
        })
    }

    /// Lets so many more events of a stream be sent; ends it if they are none.
    pub(crate) fn read_on(&self, stream_id: &str, events: u32) {
        let open = self.lock();
        match open.get(stream_id) {
            Some(stream) if events == 0 => stream.close(),
            Some(stream) => {
                let room = Semaphore::MAX_PERMITS - stream.available_permits();
                stream.add_permits(count(events).min(room));
            }
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Semaphore>>> {
        // What is held is whole whoever panics.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pane {
    /// Waits until one more event may be sent. False if nobody reads any more.
    pub(crate) async fn next(&mut self) -> bool {
        tokio::select! {
            permit = self.events.acquire() => match permit {
                Ok(permit) => {
                    permit.forget();
                    true
                }
                Err(_) => false,
            },
            _ = self.windows.bus.changed() => false,
        }
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        self.windows.lock().remove(&self.stream_id);
    }
}

fn count(events: u32) -> usize {
    usize::try_from(events).unwrap_or(Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn window(events: u32) -> Window {
        Window {
            stream_id: "s".to_owned(),
            events,
        }
    }

    #[test]
    fn a_stream_goes_as_far_as_it_is_read() {
        let (bus, is_up) = watch::channel(true);
        let windows = Windows::new(is_up);
        let mut pane = windows.open(window(2)).expect("it is the first");
        assert!(windows.open(window(2)).is_none(), "it is open");
        let mut next = || pane.next().now_or_never();
        assert_eq!([next(), next(), next()], [Some(true), Some(true), None]);
        windows.read_on("s", 1);
        windows.read_on("another", 1);
        assert_eq!([next(), next()], [Some(true), None]);
        windows.read_on("s", u32::MAX);
        windows.read_on("s", u32::MAX);
        assert_eq!(next(), Some(true));
        windows.read_on("s", 0);
        assert_eq!(next(), Some(false));
        drop(pane);

        // The node that has asked is not the one that is there now.
        let mut pane = windows.open(window(0)).expect("none is open");
        assert_eq!(pane.next().now_or_never(), None);
        bus.send_replace(false);
        bus.send_replace(true);
        assert_eq!(pane.next().now_or_never(), Some(false));
    }
}
