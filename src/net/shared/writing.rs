//! Calls that write. Blocking ones wait until the message has left.

use super::transport::Transport;
use super::waiting::ended_while_it_waited;
use super::{Locked, SharedConnection};
use crate::driver::{Driver, MANY};
use crate::error::{Error, Result};
use crate::message::{Kind, Outgoing};
use crate::net::wait::Waited;
use crate::proto::connection::Enqueue;
use crate::proto::prepared::Prepared;
use std::time::Instant;

/// What a call that writes waits for, where it blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// That the message has left, and for room before that.
    ForOutput,
    /// Nothing: a Close always finds room, and whether it gets through is for the reads that follow to find out.
    Never,
}

impl SharedConnection {
    /// Sends or queues a message. Blocking, it waits until the message has left, and for room before that; the
    /// message counts as accepted where that wait ends for want of time. A Close waits for nothing.
    pub fn write(&self, message: &Outgoing<'_>) -> Result<Enqueue> {
        let wait = if matches!(message, Outgoing::Close(_)) { Wait::Never } else { Wait::ForOutput };
        self.write_with(wait, |driver, transport| driver.send(transport, message))
    }

    /// Like [`write`](Self::write), for a message that many connections send.
    pub fn write_prepared(&self, message: &Prepared) -> Result<Enqueue> {
        self.write_with(Wait::ForOutput, |driver, transport| driver.send_prepared(transport, message))
    }

    /// Like [`write`](Self::write), for `count` messages that leave together: `message` puts one in its place and says whether
    /// it has; what is no message is passed over. `accepted` counts them; the first one that finds no room ends it.
    pub fn write_many<'a>(
        &self,
        count: usize,
        message: impl Fn(usize, &mut Outgoing<'a>) -> Result<bool>,
        accepted: &mut usize,
    ) -> Result<Enqueue> {
        self.write_with(Wait::ForOutput, |driver, transport| {
            if count == 1 {
                let mut only = Outgoing::Binary(&[]);
                let outcome =
                    if message(0, &mut only)? { driver.send(transport, &only)? } else { Enqueue::Accepted };
                *accepted = usize::from(outcome == Enqueue::Accepted);
                return Ok(outcome);
            }
            while *accepted < count {
                let mut some = [Outgoing::Binary(&[]); MANY];
                let mut len = 0;
                while len < MANY && *accepted + len < count {
                    match message(*accepted + len, &mut some[len]) {
                        Ok(true) => len += 1,
                        Ok(false) if len == 0 => *accepted += 1,
                        Err(error) if len == 0 => {
                            // Those before it are accepted.
                            driver.flush_quietly(transport)?;
                            return Err(error);
                        }
                        // Once those before it are out of the way.
                        _ => break,
                    }
                }
                let (done, outcome) = driver.send_many(transport, &some[..len]);
                *accepted += done;
                match outcome {
                    Ok(Enqueue::Accepted) => {}
                    refused => {
                        driver.flush_quietly(transport)?;
                        return refused;
                    }
                }
            }
            driver.flush_quietly(transport)?;
            Ok(Enqueue::Accepted)
        })
    }

    /// Like [`write`](Self::write), for a fragment of a message.
    pub fn write_fragment(&self, kind: Kind, data: &[u8], is_final: bool) -> Result<Enqueue> {
        self.write_with(Wait::ForOutput, |driver, transport| {
            driver.send_fragment(transport, kind, data, is_final)
        })
    }

    /// Queues a message without sending anything; it leaves with what follows.
    pub fn queue(&self, message: &Outgoing<'_>) -> Result<Enqueue> {
        self.lock()?.connection_mut().queue_corked(message)
    }

    /// Sends what is pending.
    pub fn write_pending(&self) -> Result<()> {
        let mut began = None;
        loop {
            let mut inner = self.lock()?;
            let error = match inner.write_pending() {
                Ok(()) => return Ok(()),
                Err(error) if error.is_would_block() && inner.blocks() => error,
                Err(error) if began.is_some() => return inner.told(ended_while_it_waited(error)),
                Err(error) => return inner.told(error),
            };
            let (_, waited) = self.wait_to_write(inner, &mut began)?;
            if waited == Waited::TimedOut {
                return Err(error);
            }
        }
    }

    fn write_with(
        &self,
        wait: Wait,
        mut write: impl FnMut(&mut Driver, &mut Transport) -> Result<Enqueue>,
    ) -> Result<Enqueue> {
        let mut began = None;
        loop {
            let mut inner = self.lock()?;
            inner.tick()?;
            let (driver, transport) = inner.driven();
            let accepted = match began {
                None => write(driver, transport)?,
                Some(_) => write(driver, transport).map_err(ended_while_it_waited)?,
            };
            if wait == Wait::Never || !inner.blocks() || !inner.driver().has_output() {
                return Ok(accepted);
            }
            if accepted == Enqueue::Accepted {
                return self.wait_for_output(inner, began);
            }
            let (_, waited) = self.wait_to_write(inner, &mut began)?;
            if waited == Waited::TimedOut {
                return Ok(accepted);
            }
        }
    }

    /// Waits until all output has left. A message that was accepted stays accepted where time runs out; where the connection
    /// ends meanwhile, whoever waits is told.
    #[cold]
    fn wait_for_output<'a>(&'a self, mut inner: Locked<'a>, mut began: Option<Instant>) -> Result<Enqueue> {
        while inner.blocks() {
            let waited;
            (inner, waited) = self.wait_to_write(inner, &mut began)?;
            inner.tick()?;
            if inner.view().phase().has_failed() {
                // Another thread was told why.
                return Err(Error::ConnectionClosed);
            }
            let (driver, transport) = inner.driven();
            match driver.flush(transport) {
                Err(error) if error.is_would_block() && waited != Waited::TimedOut => {}
                Err(error) if error.is_would_block() => break,
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        Ok(Enqueue::Accepted)
    }
}
