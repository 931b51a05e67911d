//! What the boot services have counted since the start: packets that are none, among others.

use std::sync::{Arc, OnceLock};

use formwork_api::Stat;
use formwork_boot::{DhcpCounters, HttpCounters, TftpCounters};

/// The counters of the services that run.
#[derive(Debug, Default)]
pub(crate) struct BootCounts {
    dhcp: OnceLock<Arc<DhcpCounters>>,
    binl: OnceLock<Arc<DhcpCounters>>,
    dhcp6: OnceLock<Arc<DhcpCounters>>,
    tftp: OnceLock<Arc<TftpCounters>>,
    http: OnceLock<Arc<HttpCounters>>,
}

impl BootCounts {
    /// Takes in the counters of the DHCP service, or of the boot server beside it, and returns them.
    pub(super) fn of_dhcp(&self, counters: Arc<DhcpCounters>, binl: bool) -> Arc<DhcpCounters> {
        let slot = if binl { &self.binl } else { &self.dhcp };
        Arc::clone(slot.get_or_init(|| counters))
    }

    /// Takes in the counters of the DHCPv6 service, and returns them.
    pub(super) fn of_dhcp6(&self, counters: Arc<DhcpCounters>) -> Arc<DhcpCounters> {
        Arc::clone(self.dhcp6.get_or_init(|| counters))
    }

    /// Takes in the counters of the TFTP service, and returns them.
    pub(super) fn of_tftp(&self, counters: Arc<TftpCounters>) -> Arc<TftpCounters> {
        Arc::clone(self.tftp.get_or_init(|| counters))
    }

    /// Takes in the counters of what sends real files over HTTP in the clear.
    pub(super) fn of_http(&self, counters: Arc<HttpCounters>) {
        let _ = self.http.set(counters);
    }

    /// Returns what was counted as `GET /info` tells it; nothing of a service that does not run.
    pub(crate) fn stats(&self) -> Vec<Stat> {
        let dhcp = self.dhcp.get().map(|dhcp| dhcp.snapshot()).map(|dhcp| {
            vec![
                ("dhcp.received", dhcp.received),
                ("dhcp.malformed", dhcp.malformed),
                ("dhcp.answered", dhcp.answered),
                ("dhcp.unsent", dhcp.unsent),
            ]
        });
        let binl = self
            .binl
            .get()
            .map(|binl| binl.snapshot())
            .map(|binl| vec![("binl.received", binl.received), ("binl.answered", binl.answered)]);
        let dhcp6 = self.dhcp6.get().map(|dhcp6| dhcp6.snapshot()).map(|dhcp6| {
            vec![
                ("dhcp6.received", dhcp6.received),
                ("dhcp6.malformed", dhcp6.malformed),
                ("dhcp6.answered", dhcp6.answered),
                ("dhcp6.unsent", dhcp6.unsent),
            ]
        });
        let tftp = self.tftp.get().map(|tftp| tftp.snapshot()).map(|tftp| {
            vec![
                ("tftp.received", tftp.received),
                ("tftp.malformed", tftp.malformed),
                ("tftp.dropped", tftp.dropped),
                ("tftp.completed", tftp.completed),
            ]
        });
        let http = self.http.get().map(|http| http.snapshot());
        let http = http.map(|http| vec![("http.files", http.answered), ("http.bytes", http.bytes)]);
        let all = dhcp.into_iter().chain(binl).chain(dhcp6).chain(tftp).chain(http).flatten();
        all.map(|(name, count)| Stat { name: name.to_owned(), count }).collect()
    }
}
