//! The sources of a poller by their keys, and when to look at which. Knows no system call.

use super::source::Source;
use crate::net::clock::Now;
use crate::net::registry::{Key, PLACE_BITS, SourceStatus, Sources};
use crate::proto::deadline::NEVER;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The entries, behind their lock.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Entries>);

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sources for Shared {
    fn remove(&self, key: Key) {
        let entry = self.lock().remove(key);
        // A socket that goes with it takes its time.
        drop(entry);
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Entries {
    places: Vec<Place>,
    free: Vec<usize>,
    /// When to look at which source. Each has one at most, which goes with it.
    timers: BTreeSet<(u64, Key)>,
}

#[derive(Debug)]
struct Place {
    generation: usize,
    entry: Option<Entry>,
}

/// What a poller keeps of a source.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) source: Source,
    pub(super) token: u64,
    /// Its timer.
    due: u64,
    /// It is among what the next wait reports or looks at.
    pub(super) is_listed: bool,
}

impl Entry {
    pub(super) fn new(source: Source, token: u64) -> Self {
        Self { source, token, due: NEVER, is_listed: false }
    }

    /// It has something to do.
    #[inline]
    pub(super) fn list(&mut self, key: Key, ready: &mut VecDeque<Key>) {
        if !self.is_listed {
            self.is_listed = true;
            ready.push_back(key);
        }
    }
}

impl Entries {
    /// `None` where there are more sources than places.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<Key> {
        if let Some(number) = self.free.pop() {
            let place = self.places.get_mut(number)?;
            place.entry = Some(entry);
            return Some(Key::new(number, place.generation));
        }
        let number = self.places.len();
        if number >> PLACE_BITS != 0 {
            return None;
        }
        self.places.push(Place { generation: 0, entry: Some(entry) });
        Some(Key::new(number, 0))
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Entry> {
        let place = self.places.get_mut(key.place())?;
        if place.generation == key.generation() { place.entry.as_mut() } else { None }
    }

    fn remove(&mut self, key: Key) -> Option<Entry> {
        let place = self.places.get_mut(key.place()).filter(|place| place.generation == key.generation())?;
        let entry = place.entry.take()?;
        if entry.due != NEVER {
            self.timers.remove(&(entry.due, key));
        }
        // A place whose count is used up is not given again. The last count is the waker's.
        place.generation += 1;
        if place.generation < (usize::MAX >> PLACE_BITS) {
            self.free.push(key.place());
        }
        Some(entry)
    }

    pub(super) fn into_sources(self) -> impl Iterator<Item = Source> {
        self.places.into_iter().filter_map(|place| place.entry).map(|entry| entry.source)
    }

    /// Asks a source how it is. Lists it where it has something to do, and notes when it will.
    pub(super) fn look(&mut self, key: Key, now: &Now, ready: &mut VecDeque<Key>) {
        if let Some(SourceStatus { ready: false, due }) = self.ask(key, now, ready) {
            self.note_due(key, due);
        }
    }

    /// [`look`](Self::look), for a source that said how it was when it was marked dirty: where it is busy, and may be so each
    /// time that it is asked, that is believed.
    pub(super) fn look_or_believe(
        &mut self,
        key: Key,
        status: SourceStatus,
        now: &Now,
        ready: &mut VecDeque<Key>,
    ) {
        let Some(entry) = self.get_mut(key) else { return };
        let SourceStatus { ready: is_ready, due } = entry.source.status(now).unwrap_or(status);
        match is_ready {
            true => entry.list(key, ready),
            false => self.note_due(key, due),
        }
    }

    /// Whether a source that was listed in an earlier wait still has something to do: others may have done it. One that is busy
    /// will be marked dirty.
    pub(super) fn is_still_ready(&mut self, key: Key, now: &Now) -> bool {
        let Some(entry) = self.get_mut(key) else { return false };
        match entry.source.status(now) {
            Some(SourceStatus { ready: true, .. }) => true,
            other => {
                entry.is_listed = false;
                self.note_due(key, other.map_or(NEVER, |status| status.due));
                false
            }
        }
    }

    fn note_due(&mut self, key: Key, due: u64) {
        if let Some(entry) = self.get_mut(key)
            && due < entry.due
        {
            let before = std::mem::replace(&mut entry.due, due);
            self.timers.remove(&(before, key));
            self.timers.insert((due, key));
        }
    }

    /// Looks at what is due, and says what will be next. A deadline that has been put off or called off meanwhile must not
    /// be the one to wait for: a wait with an end costs the system more than one without.
    pub(super) fn next_timer(&mut self, now: &Now, ready: &mut VecDeque<Key>) -> u64 {
        while let Some((due, key)) = self.timers.first().copied() {
            if due > now.ms() && self.ask(key, now, ready).is_some_and(|status| status.due <= due) {
                return due;
            }
            self.timers.remove(&(due, key));
            if let Some(entry) = self.get_mut(key) {
                entry.due = NEVER;
            }
            self.look(key, now, ready);
        }
        NEVER
    }

    /// How a source is; `None` while it is busy, or gone. Whatever has something to do is listed: it relies on that.
    fn ask(&mut self, key: Key, now: &Now, ready: &mut VecDeque<Key>) -> Option<SourceStatus> {
        let entry = self.get_mut(key)?;
        let status = entry.source.status(now)?;
        if status.ready {
            entry.list(key, ready);
        }
        Some(status)
    }
}
