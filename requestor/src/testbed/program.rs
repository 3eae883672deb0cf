//! A service whose handlers are what a test says.

use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};

use crate::{Payload, Result, Script, Service, WorkContext, vm};

/// What a handler does.
pub(crate) type Handler = fn(&WorkContext) -> BoxStream<'static, Result<Script>>;

/// A service whose handlers are what a test says: by default it starts, runs until it is stopped, and says `/bye`.
pub(crate) struct Acts {
    pub(crate) start: Handler,
    pub(crate) run: Handler,
    pub(crate) shutdown: Handler,
}

impl Default for Acts {
    fn default() -> Self {
        Self {
            start: |_| script(run("/hello", "x")),
            run: |_| stream::pending().boxed(),
            shutdown: |_| script(run("/bye", "x")),
        }
    }
}

impl Service for Acts {
    async fn get_payload() -> Result<Payload> {
        Ok(vm::image_url("00", "http://127.0.0.1/image").payload())
    }

    fn start(&mut self, ctx: &WorkContext) -> impl Stream<Item = Result<Script>> + Send {
        (self.start)(ctx)
    }

    fn run(&mut self, ctx: &WorkContext) -> impl Stream<Item = Result<Script>> + Send {
        (self.run)(ctx)
    }

    fn shutdown(&mut self, ctx: &WorkContext) -> impl Stream<Item = Result<Script>> + Send {
        (self.shutdown)(ctx)
    }
}

/// A script of one program.
pub(crate) fn run(program: &str, arg: &str) -> Script {
    let mut script = Script::new();
    script.run(program, [arg]);
    script
}

/// A handler that yields one script.
pub(crate) fn script(script: Script) -> BoxStream<'static, Result<Script>> {
    stream::iter([Ok(script)]).boxed()
}
