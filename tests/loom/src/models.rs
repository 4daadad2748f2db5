// What src/net/signal.rs promises, each promise as a few threads that rely on it. Included next to each copy of that file.

use super::signal::{Busy, Doorbell, Events, Held, Monitor, Monitored, Published};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::check;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

fn none() -> Published {
    Published::new(false, false)
}

/// A value that notes what it is told.
struct Value {
    /// How often there was something to read.
    reads: u32,
    has_ended: bool,
    /// Who took the lock when there was something.
    noted_by: Option<thread::ThreadId>,
    published: Published,
    is_dirty: Arc<AtomicU32>,
}

impl Value {
    fn new() -> Self {
        let is_dirty = Arc::new(AtomicU32::new(0));
        Self { reads: 0, has_ended: false, noted_by: None, published: none(), is_dirty }
    }
}

impl Monitored for Value {
    fn may_reenter(&self) -> bool {
        true
    }

    fn on_events(&mut self, events: Events) {
        self.reads += u32::from(events.read());
        self.has_ended |= events.ended();
        self.noted_by = Some(thread::current().id());
    }

    fn before_unlock(&mut self) -> Published {
        self.published
    }

    fn is_registered(&self) -> bool {
        true
    }

    fn mark_dirty(&mut self) {
        self.is_dirty.swap(1, Ordering::Release);
    }
}

fn hold<T: Monitored>(monitor: &Monitor<T>) -> Held<'_, T> {
    monitor.lock().expect("loom poisons nothing")
}

/// Takes the lock in a thread of its own as often as there are words to leave behind.
fn holder(monitor: &Arc<Monitor<Value>>, words: &'static [(bool, bool)]) -> thread::JoinHandle<()> {
    let monitor = Arc::clone(monitor);
    thread::spawn(move || {
        for (idle, batch_valid) in words {
            hold(&monitor).published = Published::new(*idle, *batch_valid);
        }
    })
}

/// Whatever is left is noted, by one of those who take the lock.
pub fn events_are_noted_once() {
    check(|| {
        let monitor = Arc::new(Monitor::new(Value::new()));
        let other = holder(&monitor, &[(true, false), (false, true)]);
        monitor.leave_events(Events::new(true, false, false));
        monitor.leave_events(Events::new(false, true, true));
        other.join().unwrap();
        let held = hold(&monitor);
        assert_eq!(held.reads, 1);
        assert!(held.has_ended);
    });
}

/// Only one thread leaves events. What that finds idle afterwards, another one has noted them of.
pub fn what_is_idle_has_no_event_left() {
    check(|| {
        let monitor = Arc::new(Monitor::new(Value::new()));
        let other = holder(&monitor, &[(true, false), (false, false), (true, false)]);
        monitor.leave_events(Events::new(true, false, false));
        if monitor.is_idle() {
            let held = hold(&monitor);
            assert!(held.noted_by.is_some_and(|by| by != thread::current().id()));
        }
        other.join().unwrap();
    });
}

/// The word says what the value was like when its lock was let go last.
pub fn the_last_holder_is_believed() {
    check(|| {
        let monitor = Arc::new(Monitor::new(Value::new()));
        let other = holder(&monitor, &[(true, true), (true, false)]);
        hold(&monitor).published = Published::new(false, true);
        other.join().unwrap();
        let valid = monitor.is_batch_valid();
        let idle = monitor.is_idle();
        let held = hold(&monitor);
        assert_eq!(Published::new(idle, valid), held.published);
    });
}

/// Whoever has the lock is told so, and nobody else.
pub fn a_thread_knows_whether_it_has_the_lock() {
    fn hold_twice(monitor: &Monitor<Value>) {
        for _ in 0..2 {
            assert!(!monitor.is_held_here());
            let held = hold(monitor);
            assert!(monitor.is_held_here());
            drop(held);
        }
        assert!(!monitor.is_held_here());
    }
    check(|| {
        let monitor = Arc::new(Monitor::new(Value::new()));
        let other = {
            let monitor = Arc::clone(&monitor);
            thread::spawn(move || hold_twice(&monitor))
        };
        hold_twice(&monitor);
        other.join().unwrap();
    });
}

/// What a poller has of the system: a wait ends where it was woken since the last one.
#[derive(Default)]
struct Waker {
    is_woken: Mutex<bool>,
    changed: Condvar,
}

impl Waker {
    fn wake(&self) {
        *self.is_woken.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut is_woken = self.is_woken.lock().unwrap();
        while !*is_woken {
            is_woken = self.changed.wait(is_woken).unwrap();
        }
        *is_woken = false;
    }
}

/// What the sources of a poller have of it.
#[derive(Default)]
struct Shared {
    bell: Doorbell,
    waker: Waker,
    dirty: Mutex<u32>,
}

impl Shared {
    fn mark_dirty(&self) {
        *self.dirty.lock().unwrap() += 1;
        if self.bell.ring_dirty() {
            self.waker.wake();
        }
    }

    fn take_dirty(&self) -> u32 {
        std::mem::take(&mut *self.dirty.lock().unwrap())
    }
}

/// A poller that is missing something waits for ever, which loom finds.
pub fn whoever_rings_is_heard() {
    check(|| {
        let shared = Arc::new(Shared::default());
        let others = [0, 1].map(|wakes| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || match wakes {
                0 => shared.mark_dirty(),
                _ if shared.bell.ring_wake() => shared.waker.wake(),
                _ => {}
            })
        });
        let (mut dirty, mut is_woken) = (0, false);
        while dirty < 1 || !is_woken {
            let before = shared.bell.before_wait();
            if before.dirty {
                dirty += shared.take_dirty();
            }
            is_woken |= before.woken;
            if dirty < 1 || !is_woken {
                shared.waker.wait();
            }
            let after = shared.bell.after_wait();
            if after.dirty {
                dirty += shared.take_dirty();
            }
            is_woken |= after.woken;
        }
        for other in others {
            other.join().unwrap();
        }
    });
}

/// A connection as a poller knows it: see `Registration` and `Inner::tell_poller`.
struct Source {
    poller: Arc<Shared>,
    has_input: bool,
    has_output: bool,
    awaits_look: bool,
}

impl Source {
    fn new(poller: &Arc<Shared>) -> Self {
        Self { poller: Arc::clone(poller), has_input: false, has_output: false, awaits_look: false }
    }
}

impl Monitored for Source {
    fn may_reenter(&self) -> bool {
        false
    }

    fn on_events(&mut self, _: Events) {
        self.has_input = true;
        self.awaits_look = true;
    }

    fn before_unlock(&mut self) -> Published {
        let is_idle = !self.has_input && !self.has_output;
        if is_idle {
            self.awaits_look = false;
        } else if !self.awaits_look {
            self.mark_dirty();
        }
        Published::new(is_idle, false)
    }

    fn is_registered(&self) -> bool {
        true
    }

    fn mark_dirty(&mut self) {
        self.awaits_look = true;
        self.poller.mark_dirty();
    }
}

/// What a poller finds where it looks.
fn find(source: &Monitor<Source>) -> Option<(bool, bool)> {
    let mut held = source.look().ok()?;
    held.awaits_look = held.has_input || held.has_output;
    Some((held.has_input, held.has_output))
}

/// Others take the lock and do not read: what was heard of stays to be done.
pub fn what_nobody_has_read_is_not_idle() {
    check(|| {
        let source = Arc::new(Monitor::new(Source::new(&Arc::default())));
        drop(hold(&source));
        let other = {
            let source = Arc::clone(&source);
            thread::spawn(move || drop(hold(&source)))
        };
        source.leave_events(Events::new(true, false, false));
        assert!(!source.is_idle());
        other.join().unwrap();
        assert!(!source.is_idle());
    });
}

/// There is something to read, which the poller's thread reads; another thread has looked at the connection, and leaves something
/// to send. The poller finds out, whichever comes first.
pub fn a_poller_learns_what_others_do() {
    check(|| {
        let shared = Arc::new(Shared::default());
        let source = Arc::new(Monitor::new(Source::new(&shared)));
        drop(hold(&source));
        let other = {
            let source = Arc::clone(&source);
            thread::spawn(move || {
                drop(hold(&source));
                hold(&source).has_output = true;
            })
        };
        let mut found = (false, false);
        let mut note = |new: Option<(bool, bool)>| found = new.unwrap_or(found);
        if source.leave_events(Events::new(true, false, false)) {
            note(Some((true, false)));
        } else {
            note(find(&source));
        }
        loop {
            let before = shared.bell.before_wait();
            let mut is_reported = false;
            if found.0 {
                // It has been reported, and read until there was nothing more.
                hold(&source).has_input = false;
                found.0 = false;
                is_reported = true;
            }
            if is_reported && !source.is_idle() || before.dirty && shared.take_dirty() > 0 {
                found = find(&source).unwrap_or(found);
            }
            if found.1 {
                break;
            }
            if !found.0 {
                shared.waker.wait();
            }
            if shared.bell.after_wait().dirty && shared.take_dirty() > 0 {
                found = find(&source).unwrap_or(found);
            }
            if found.1 {
                break;
            }
        }
        other.join().unwrap();
    });
}

/// Whoever had it marks the value dirty afterwards; while the value is being marked, too.
pub fn a_look_that_finds_the_lock_taken_is_made_up_for() {
    check(|| {
        let value = Value::new();
        let is_dirty = Arc::clone(&value.is_dirty);
        let monitor = Arc::new(Monitor::new(value));
        let other = holder(&monitor, &[(false, false), (false, false)]);
        let mut is_missed = false;
        for _ in 0..2 {
            is_dirty.swap(0, Ordering::Relaxed);
            is_missed = matches!(monitor.look(), Err(Busy::Taken));
        }
        other.join().unwrap();
        assert!(!is_missed || is_dirty.load(Ordering::Acquire) == 1);
    });
}

/// Who knows that a batch has been called off does not see it as valid, whatever a poller does to the word meanwhile.
pub fn a_batch_that_was_called_off_is_not_valid() {
    check(|| {
        let monitor = Arc::new(Monitor::new(Value::new()));
        hold(&monitor).published = Published::new(false, true);
        let is_known = Arc::new(AtomicU32::new(0));
        let other = {
            let (monitor, is_known) = (Arc::clone(&monitor), Arc::clone(&is_known));
            thread::spawn(move || {
                hold(&monitor).published = none();
                is_known.swap(1, Ordering::Release);
            })
        };
        let poller = {
            let monitor = Arc::clone(&monitor);
            thread::spawn(move || {
                monitor.leave_events(Events::new(true, false, false));
                drop(monitor.look());
            })
        };
        if is_known.load(Ordering::Acquire) == 1 {
            assert!(!monitor.is_batch_valid());
        }
        other.join().unwrap();
        poller.join().unwrap();
        assert!(!monitor.is_batch_valid());
    });
}

/// Who knows that the end has been told finds it over, whatever a poller does to the word meanwhile and however busy it is.
pub fn what_has_been_told_is_over_for_good() {
    check(|| {
        let monitor = Arc::new(Monitor::new(Value::new()));
        let is_known = Arc::new(AtomicU32::new(0));
        let other = {
            let (monitor, is_known) = (Arc::clone(&monitor), Arc::clone(&is_known));
            thread::spawn(move || {
                hold(&monitor).published = none().and_over();
                is_known.swap(1, Ordering::Release);
                drop(hold(&monitor));
            })
        };
        let poller = {
            let monitor = Arc::clone(&monitor);
            thread::spawn(move || {
                monitor.leave_events(Events::new(true, false, false));
                drop(monitor.look());
            })
        };
        if is_known.load(Ordering::Acquire) == 1 {
            assert!(monitor.is_over());
        }
        other.join().unwrap();
        poller.join().unwrap();
        assert!(monitor.is_over());
    });
}
