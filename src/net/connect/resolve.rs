//! What must not hold the caller up, on threads of its own: looking names up, and reading the certificates of the
//! system. At most 32 of those are there in a process, whatever hangs; what finds none free queues for its
//! turn, and leaves the queue when nobody waits for it any more. A thread ends when the queue is empty.
//!
//! A thread leaves what it found in a queue of completions and wakes whoever waits for that. Nobody waits for the thread:
//! where its connection has been freed, what it finds is dropped.
//!
//! A thread keeps the library in memory until it has ended, by a thread-local with a destructor: the C library does not
//! unload what has such a destructor still to run. It takes none of the program's signals.

use crate::net::connect::happy_eyeballs::Family;
use crate::net::tls::ClientTls;
use crate::sys::{Notifier, Process, Thread};
use socket2::{Domain, Type};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError, Weak};

/// Threads of a process at once. One connection asks for two look-ups, and for the certificates of the system once.
const MOST_THREADS: usize = 32;
/// How many questions may wait before those are looked for that nobody waits for any more.
const SWEEP_AT: usize = 64;
/// Enough for any resolver.
const STACK: usize = 512 << 10;

/// What a thread has found.
#[derive(Debug)]
pub(crate) enum Completion {
    /// The addresses of a name, of one family.
    Addresses(Family, io::Result<Vec<SocketAddr>>),
    /// What TLS needs to begin.
    Tls(crate::error::Result<ClientTls>),
}

/// Where it is left. Dropped, nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Completions {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// With each the thread that ends behind it, if it does.
    found: Mutex<Vec<(Completion, Option<Thread>)>>,
    notifier: Notifier,
}

impl Completions {
    /// An empty one; `notifier` is called when something comes.
    pub(crate) fn new(notifier: Notifier) -> Self {
        Self { shared: Arc::new(Shared { found: Mutex::default(), notifier }) }
    }

    /// What has come.
    pub(crate) fn take(&mut self) -> Vec<Completion> {
        let found = std::mem::take(&mut *self.shared.found());
        let completion = |(completion, thread): (Completion, Option<Thread>)| {
            // It has nothing left to do but to end, and then does not keep the library.
            thread.into_iter().for_each(Thread::join);
            completion
        };
        found.into_iter().map(completion).collect()
    }

    /// Lets a thread find something out, when its turn comes.
    pub(crate) fn spawn(&mut self, find: impl FnOnce() -> Completion + Send + 'static) -> io::Result<()> {
        let asker = Arc::downgrade(&self.shared);
        Queue::add(Question { asker, find: Box::new(find) })
    }
}

impl Shared {
    fn found(&self) -> MutexGuard<'_, Vec<(Completion, Option<Thread>)>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        self.take();
    }
}

/// Something to be found out.
struct Question {
    /// Gone when nobody waits for the answer.
    asker: Weak<Shared>,
    find: Box<dyn FnOnce() -> Completion + Send>,
}

impl Question {
    fn is_waited_for(&self) -> bool {
        self.asker.strong_count() > 0
    }
}

/// The threads, and what waits for one. Without any it holds no memory, for the library may be unloaded then.
struct Queue {
    /// Of a child of a fork() nothing here is true.
    process: Process,
    questions: VecDeque<Question>,
    /// With so many questions, those that nobody waits for are thrown out.
    sweep_at: usize,
    /// The threads, by their numbers.
    threads: Vec<(usize, Thread)>,
    next: usize,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue::new(Process::NONE));

impl Queue {
    const fn new(process: Process) -> Self {
        Self { process, questions: VecDeque::new(), sweep_at: SWEEP_AT, threads: Vec::new(), next: 0 }
    }

    fn lock() -> MutexGuard<'static, Self> {
        let mut queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
        let process = Process::current();
        if queue.process != process {
            *queue = Self::new(process);
        }
        queue
    }

    /// Begins a thread for it, or lets it wait.
    fn add(question: Question) -> io::Result<()> {
        let mut queue = Self::lock();
        if queue.threads.len() < MOST_THREADS {
            let staying = queue.begin_thread(question)?;
            drop(queue);
            // Before it has seen to that it stays, the library must not go.
            staying.wait();
            return Ok(());
        }
        if queue.questions.len() >= queue.sweep_at {
            queue.questions.retain(Question::is_waited_for);
            queue.sweep_at = SWEEP_AT + 2 * queue.questions.len();
        }
        queue.questions.push_back(question);
        Ok(())
    }

    fn begin_thread(&mut self, first: Question) -> io::Result<Arc<Barrier>> {
        let number = self.next;
        let staying = Arc::new(Barrier::new(2));
        let stays = Arc::clone(&staying);
        let work = move || {
            STAY.with(|_| {});
            stays.wait();
            drop(stays);
            answer_all(number, first);
        };
        self.threads.push((number, Thread::start(STACK, Box::new(work))?));
        self.next = number.wrapping_add(1);
        Ok(staying)
    }

    /// The next question, unless there is none that anybody waits for.
    fn take(&mut self) -> Option<Question> {
        std::iter::from_fn(|| self.questions.pop_front()).find(Question::is_waited_for)
    }

    /// A thread ends.
    fn end(&mut self, number: usize) -> Option<Thread> {
        let place = self.threads.iter().position(|(known, _)| *known == number)?;
        let (_, thread) = self.threads.swap_remove(place);
        if self.threads.is_empty() {
            *self = Self { next: self.next, ..Self::new(self.process) };
        }
        Some(thread)
    }
}

/// What a thread does.
fn answer_all(number: usize, mut question: Question) {
    loop {
        let Question { asker, find } = question;
        let completion = catch_unwind(AssertUnwindSafe(find)).ok();
        let mut queue = Queue::lock();
        let next = queue.take();
        let thread = if next.is_none() { queue.end(number) } else { None };
        if let (Some(completion), Some(asker)) = (completion, asker.upgrade()) {
            asker.found().push((completion, thread));
            asker.notifier.notify();
        }
        match next {
            Some(next) => question = next,
            None => return,
        }
    }
}

/// Looks up the addresses of a name, of one family.
pub(crate) fn look_up(host: &str, port: u16, family: Family) -> io::Result<Vec<SocketAddr>> {
    let hints = dns_lookup::AddrInfoHints {
        address: match family {
            Family::V6 => Domain::IPV6.into(),
            Family::V4 => Domain::IPV4.into(),
        },
        socktype: Type::STREAM.into(),
        ..dns_lookup::AddrInfoHints::default()
    };
    let found = dns_lookup::getaddrinfo(Some(host), None, Some(hints)).map_err(io::Error::from)?;
    let mut addresses = Vec::new();
    for answer in found {
        let mut address = answer?.sockaddr;
        address.set_port(port);
        addresses.push(address);
    }
    Ok(addresses)
}

/// The address that is written out in `host`, if one is; its family says which lookup it stands for.
pub(crate) fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port))
}

thread_local!(static STAY: Stay = const { Stay });

/// Has a destructor, and nothing for it to do.
struct Stay;

impl Drop for Stay {
    fn drop(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_written_out_need_no_lookup() {
        assert_eq!(literal("127.0.0.1", 80), Some("127.0.0.1:80".parse().unwrap()));
        assert_eq!(literal("::1", 80), Some("[::1]:80".parse().unwrap()));
        assert_eq!(literal("localhost", 80), None);
    }

    #[test]
    fn a_name_has_its_addresses_and_the_port_asked_for() {
        let addresses = look_up("localhost", 4711, Family::V4).unwrap();
        assert!(addresses.contains(&"127.0.0.1:4711".parse().unwrap()));
        assert!(look_up("no-such-name.invalid", 80, Family::V4).is_err());
    }
}
