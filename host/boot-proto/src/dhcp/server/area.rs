//! The active range of one subnet: which of its addresses are free, and whose lease expired first.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::config::Subnet;

/// How many addresses of a range are used at most: those of a /8, whose map takes 2 MiB.
const SPAN_MAX: u32 = 1 << 24;

const WORD: u32 = u64::BITS;

/// A subnet with the state of its active range.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) subnet: Arc<Subnet>,
    /// One bit an address of the active range, from its start; set where the address cannot be given as free.
    taken: Vec<u64>,
    first: u32,
    len: u32,
    taken_count: u32,
    /// Where the round robin goes on, from the start of the range.
    pub(super) cursor: u32,
    /// Records of the range that may be given to others once they expire, by the time that they do.
    reusable: BTreeSet<(u64, Ipv4Addr)>,
    /// Offers in the range that nobody has taken yet.
    pub(super) offers: usize,
}

impl Area {
    pub(super) fn new(subnet: Arc<Subnet>) -> Self {
        let (start, end) = (subnet.active_start.to_bits(), subnet.active_end.to_bits());
        let len = end.checked_sub(start).map_or(0, |last| last.saturating_add(1).min(SPAN_MAX));
        let words = usize::try_from(len.div_ceil(WORD)).unwrap_or(0);
        let mut area = Self {
            subnet,
            taken: vec![0; words],
            first: start,
            len,
            taken_count: 0,
            cursor: 0,
            reusable: BTreeSet::new(),
            offers: 0,
        };
        let ends = [area.subnet.network & area.subnet.mask(), area.subnet.broadcast()];
        let kept = ends.into_iter().filter(|end| !area.subnet.is_host(*end)).collect::<Vec<_>>();
        kept.into_iter().chain(area.subnet.routers.clone()).for_each(|address| area.set_taken(address, true));
        area
    }

    /// Returns how many addresses the range has.
    pub(super) fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    pub(super) fn set_taken(&mut self, address: Ipv4Addr, is_taken: bool) {
        let Some(place) = self.place(address) else { return };
        let Some(word) = usize::try_from(place / WORD).ok().and_then(|word| self.taken.get_mut(word)) else {
            return;
        };
        let bit = 1_u64 << (place % WORD);
        match (*word & bit != 0, is_taken) {
            (false, true) => self.taken_count += 1,
            (true, false) => self.taken_count -= 1,
            _ => return,
        }
        *word ^= bit;
    }

    /// Notes a record that may be given to others from a time on.
    pub(super) fn note_reusable(&mut self, expires_ms: u64, address: Ipv4Addr) {
        if self.place(address).is_some() {
            self.reusable.insert((expires_ms, address));
        }
    }

    pub(super) fn forget_reusable(&mut self, expires_ms: u64, address: Ipv4Addr) {
        self.reusable.remove(&(expires_ms, address));
    }

    /// Returns the next address that nobody has and `usable` accepts, round robin.
    pub(super) fn next_free(&self, usable: &dyn Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        self.free().find(|address| usable(*address))
    }

    /// Iterates over the addresses that nobody has, round robin.
    pub(super) fn free(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let from = self.cursor.min(self.len);
        let is_full = self.taken_count >= self.len;
        let parts = [(from, self.len), (0, from)].into_iter().filter(move |_| !is_full);
        parts.flat_map(|(from, to)| self.free_in(from, to))
    }

    /// Returns the address whose record expired first and that `usable` accepts.
    pub(super) fn most_expired(&self, now_ms: u64, usable: &dyn Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        let mut expired = self.reusable.iter().take_while(|(expires_ms, _)| *expires_ms <= now_ms);
        expired.find(|(_, address)| usable(*address)).map(|(_, address)| *address)
    }

    /// Lets the round robin go on behind an address that was given to a new client.
    pub(super) fn pass(&mut self, address: Ipv4Addr) {
        if let Some(place) = self.place(address) {
            self.cursor = place + 1;
        }
    }

    fn place(&self, address: Ipv4Addr) -> Option<u32> {
        address.to_bits().checked_sub(self.first).filter(|place| *place < self.len)
    }

    /// Iterates over the free addresses of a part of the range, a word of the map at a time.
    fn free_in(&self, from: u32, to: u32) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let words = (from / WORD)..to.div_ceil(WORD);
        words
            .flat_map(move |number| {
                let taken = usize::try_from(number).ok().and_then(|word| self.taken.get(word));
                let mut free = !taken.copied().unwrap_or(u64::MAX);
                std::iter::from_fn(move || {
                    let bit = free.trailing_zeros();
                    free &= free.wrapping_sub(1);
                    (bit < WORD).then(|| number * WORD + bit)
                })
            })
            .skip_while(move |place| *place < from)
            .take_while(move |place| *place < to)
            .map(move |place| Ipv4Addr::from_bits(self.first.saturating_add(place)))
    }
}
