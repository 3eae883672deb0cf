//! The agent: process 1 of a sandbox. It starts commands, reaps whatever ends, and passes output on.
//!
//! It has one thread and waits in one place, for whichever comes first: a message of the host, output of a
//! command, or the end of a process. Nothing here blocks otherwise. It has no privileges left when it serves.

mod command;
mod descent;
mod link;
mod measure;
mod program;
mod spawn;
mod watchdog;

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use prost::Message;
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::retry_on_intr,
    process::{
        DumpableBehavior, Signal, WaitOptions, set_dumpable_behavior,
        set_parent_process_death_signal, wait,
    },
};

pub(super) use self::link::Link;
use self::{command::Command, measure::Meter};
use super::{
    files::Received,
    launch::take_stdin,
    limits::Limits,
    mounts::{self, MountError},
    privilege::{self, Keep},
    seccomp,
    wire::{Confinement, Ready, Refused, Report, Request, Run, Started, Stored, Unable},
};
use crate::cause::in_one_line;

/// What a program does that is started as an agent: the code that it exits with.
pub(crate) fn main() -> u8 {
    let Ok(mut link) = take_stdin().and_then(|host| Link::new(host.into())) else {
        return 1;
    };
    let served = match settle() {
        Ok(settled) => {
            link.send(Report::Ready(Ready {
                enforced: settled.confinement.enforced,
            }));
            Agent::new(link, settled).serve()
        }
        Err(error) => {
            let reason = in_one_line(&error);
            link.send(Report::Unable(Unable {
                reason,
                forbidden: false,
            }));
            link.flush()
        }
    };
    served.map_or(1, |()| 0)
}

/// What process 1 of a virtual machine goes on with: the code that it exits with.
pub(super) fn become_agent_of_machine(mut link: Link) -> u8 {
    let served = match settle_in_machine() {
        Ok(settled) => {
            link.send(Report::Ready(Ready { enforced: None }));
            Agent::new(link, settled).serve()
        }
        Err(error) => {
            eprintln!("{}", in_one_line(&error));
            return 1;
        }
    };
    served.map_or(1, |()| 0)
}

#[derive(Debug, thiserror::Error)]
enum SettleError {
    #[error("cannot understand what the launcher has left to do")]
    Confinement,
    #[error("cannot follow the launcher")]
    Launcher(#[source] rustix::io::Errno),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error("cannot watch for processes that end")]
    Children(#[source] io::Error),
    #[error("cannot give up privileges")]
    Privilege(#[source] rustix::io::Errno),
    #[error("cannot filter system calls")]
    Seccomp(#[from] seccomp::Error),
}

/// What the agent has once everything is locked.
struct Settled {
    /// Becomes readable when a process ends.
    ended_processes: UnixStream,
    confinement: Confinement,
    meter: Meter,
}

/// Finishes the sandbox from within, and locks it.
fn settle() -> Result<Settled, SettleError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(SettleError::Launcher)?;
    let confinement = confinement().ok_or(SettleError::Confinement)?;
    let meter = Meter::of(&confinement).map_err(SettleError::Privilege)?;
    mounts::mount_processes()?;
    mounts::leave_host()?;
    let ended_processes = watch_children().map_err(SettleError::Children)?;
    lock(Keep::Nothing, &confinement)?;
    Ok(Settled {
        ended_processes,
        confinement,
        meter,
    })
}

/// Locks this process, which has a machine to itself: nothing but its own size limits what is in it.
fn settle_in_machine() -> Result<Settled, SettleError> {
    let confinement = Confinement {
        processes: Limits::default().processes,
        ..Confinement::default()
    };
    let ended_processes = watch_children().map_err(SettleError::Children)?;
    lock(Keep::OwnFiles, &confinement)?;
    Ok(Settled {
        ended_processes,
        meter: Meter::of(&confinement).map_err(SettleError::Privilege)?,
        confinement,
    })
}

/// What the launcher has left to this process, by its one argument.
fn confinement() -> Option<Confinement> {
    let argument = std::env::args().nth(1)?;
    Confinement::decode(&hex::decode(argument).ok()?[..]).ok()
}

/// Gives up, for this process and all its children, what they have no use for.
fn lock(keep: Keep, confinement: &Confinement) -> Result<(), SettleError> {
    // No process of the sandbox may look into this one, which holds the way to the host, or reach its program's file.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(SettleError::Privilege)?;
    privilege::drop_capabilities(keep).map_err(SettleError::Privilege)?;
    seccomp::apply(confinement)?;
    Ok(())
}

fn watch_children() -> io::Result<UnixStream> {
    let (readable, written) = UnixStream::pair()?;
    readable.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(libc::SIGCHLD, written)?;
    Ok(readable)
}

struct Agent {
    link: Link,
    ended_processes: UnixStream,
    confinement: Confinement,
    meter: Meter,
    commands: Vec<Command>,
    /// Input of the next task.
    received: Received,
    /// Pipes that outlive their commands because daemons hold them. They are emptied for as long as that is
    /// so: a daemon must neither block on a full pipe nor be killed by a closed one.
    daemons: Vec<OwnedFd>,
}

impl Agent {
    fn new(link: Link, settled: Settled) -> Self {
        Self {
            link,
            ended_processes: settled.ended_processes,
            confinement: settled.confinement,
            meter: settled.meter,
            commands: Vec::new(),
            received: Received::default(),
            daemons: Vec::new(),
        }
    }

    /// Does what the host asks until it hangs up.
    fn serve(mut self) -> io::Result<()> {
        loop {
            self.link.flush()?;
            self.wait_for_anything()?;
            self.reap();
            if !self.link.receive()? {
                return Ok(());
            }
            while let Some(request) = self.link.next()? {
                self.fulfil(request);
            }
            self.pass_output_on();
        }
    }

    fn wait_for_anything(&self) -> io::Result<()> {
        let mut wanted = PollFlags::IN;
        if self.link.has_unsent() {
            wanted |= PollFlags::OUT;
        }
        let readable = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut sources = vec![
            PollFd::new(&self.link, wanted),
            PollFd::new(&self.ended_processes, PollFlags::IN),
        ];
        sources.extend(
            self.commands
                .iter()
                .flat_map(Command::awaited)
                .map(readable),
        );
        sources.extend(self.daemons.iter().map(AsFd::as_fd).map(readable));
        retry_on_intr(|| poll(&mut sources, None))?;
        Ok(())
    }

    /// Takes in the ends of processes: commands, and what they have left behind.
    fn reap(&mut self) {
        let mut wake_ups = [0; 64];
        while matches!(
            io::Read::read(&mut self.ended_processes, &mut wake_ups),
            Ok(1..)
        ) {}
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(command) = self.commands.iter_mut().find(|command| command.is(pid)) {
                command.end(status);
            }
        }
    }

    fn fulfil(&mut self, request: Request) {
        let find = |commands: &mut Vec<Command>, id| {
            // A command may have ended while the host's message was on its way.
            commands.iter_mut().position(|command| command.id() == id)
        };
        match request {
            // Only who has built all this, long before, has a use for them.
            Request::Setup(_) | Request::Boot(_) => {}
            Request::Run(run) => self.start(&run),
            Request::Credit(credit) => {
                if let Some(at) = find(&mut self.commands, credit.id) {
                    self.commands[at].grant(credit.bytes);
                }
            }
            Request::Signal(signal) => {
                if let Some(at) = find(&mut self.commands, signal.id) {
                    self.commands[at].signal(signal.signal);
                }
            }
            Request::Release(release) => {
                if let Some(at) = find(&mut self.commands, release.id) {
                    self.commands[at].release();
                }
            }
            Request::Store(store) => {
                let stored = self.received.store(&store.bytes, store.is_first);
                let reason = stored.err().map(|error| error.to_string());
                self.link.send(Report::Stored(Stored { reason }));
            }
            Request::Measure(_) => self.link.send(Report::Measured(self.meter.measure())),
        }
    }

    fn start(&mut self, run: &Run) {
        let id = run.id;
        // Without the input, a task has nothing to do, and says so.
        let input = match run.is_task {
            true => self.received.take().unwrap_or_default(),
            false => None,
        };
        let spawned = spawn::spawn(run, input, &self.confinement);
        match spawned.map(|child| Command::new(id, run.window, child)) {
            Ok(command) => {
                self.commands.push(command);
                self.link.send(Report::Started(Started { id }));
            }
            Err(refusal) => self.link.send(Report::Refused(Refused {
                id,
                code: refusal.code,
                reason: refusal.reason,
            })),
        }
    }

    fn pass_output_on(&mut self) {
        for command in &mut self.commands {
            command.pass_output_on(&mut self.link);
        }
        for command in self.commands.extract_if(.., |command| command.is_over()) {
            self.link.send(command.last_word());
            self.daemons.extend(command.into_pipes());
        }
        self.daemons.retain(command::empty);
    }
}
