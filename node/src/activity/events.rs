//! The events of batches, as fast as they are read.
//!
//! An exe-unit sends no more events than were asked for, and the node asks for more when its reader has taken some. Who reads
//! slowly holds up the exe-unit, which keeps the rest on its disk and in the end lets the command wait.

use std::sync::atomic::Ordering;

use async_stream::stream;
use exeunit::{
    event::RuntimeEvent,
    gsb::{
        CallError,
        message::{ReadOn, StreamExecBatchResults, Window},
    },
};
use futures::{Stream, StreamExt};
use tokio::runtime::Handle;
use ya_client_model::NodeId;

use super::{Activities, ExecError, service};
use crate::{
    gsb::Bus,
    id::{ActivityId, BatchId},
};

/// How many events may be on their way; each has some kilobytes of output at most.
const WINDOW: u32 = 64;

impl Activities {
    /// The events of a batch, from its first on.
    pub(crate) async fn events(
        &self,
        caller: NodeId,
        id: ActivityId,
        batch: BatchId,
    ) -> Result<impl Stream<Item = Result<RuntimeEvent, CallError>> + Send + use<>, ExecError> {
        self.living(caller, &id).await?;
        let service = service(&id);
        self.wait_for_exe_unit(caller, &id, &service).await?;
        let stream_id = self.streams.fetch_add(1, Ordering::Relaxed).to_string();
        let events = StreamExecBatchResults {
            activity_id: id.to_string(),
            batch_id: batch.to_string(),
            window: Some(Window {
                stream_id: stream_id.clone(),
                events: WINDOW,
            }),
        };
        let opened = self.bus.stream(&service, &events).await;
        let events = opened.map_err(|error| ExecError::Call {
            activity: id.clone(),
            error,
        })?;
        let reading = Reading {
            bus: self.bus.clone(),
            service,
            activity_id: id.to_string(),
            stream_id,
            is_over: false,
        };
        Ok(stream! {
            let mut events = Box::pin(events);
            let mut taken = 0;
            while let Some(event) = events.next().await {
                yield event;
                taken += 1;
                if taken == WINDOW / 2 {
                    reading.read_on(taken).await;
                    taken = 0;
                }
            }
            reading.end();
        })
    }
}

/// A stream at its reader's end.
struct Reading {
    bus: Bus,
    service: String,
    activity_id: String,
    stream_id: String,
    is_over: bool,
}

impl Reading {
    async fn read_on(&self, events: u32) {
        // An exe-unit that has no windows sends all that there is; one that has gone ends the stream.
        let _ = self.bus.call(&self.service, &self.more(events)).await;
    }

    fn end(mut self) {
        self.is_over = true;
    }

    fn more(&self, events: u32) -> ReadOn {
        ReadOn {
            activity_id: self.activity_id.clone(),
            stream_id: self.stream_id.clone(),
            events,
        }
    }
}

impl Drop for Reading {
    /// Nobody reads on: what is not sent must hold up nobody.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (bus, service, end) = (self.bus.clone(), self.service.clone(), self.more(0));
        // Without a runtime the node ends, and its exe-units see that.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { bus.call(&service, &end).await });
        }
    }
}
