//! What went wrong in a boot, told from what was seen.
//!
//! The rules are what real clients did in the laboratory with each damaged answer (boot-lab.md, "What each needs in the
//! reply"): which answers OVMF, iPXE and the BIOS ROM of QEMU refuse without a word. A rule speaks only where the
//! packets show its cause; where they do not, a general finding says what was the last thing seen.

mod address;
mod boot_file;
mod files;
mod scene;
mod whole;

use serde::{Deserialize, Serialize};

use super::attempt::Attempt;
use super::sighting::Sighting;
use scene::Scene;

/// Something that stopped a boot, slowed it down, or that the operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its stable name.
    pub id: FindingId,
    /// How bad it is.
    pub severity: Severity,
    /// The attempt that it is about.
    pub attempt: usize,
    /// What happened, in a sentence.
    pub text: String,
    /// The sightings of the story that show it.
    pub evidence: Vec<usize>,
    /// The nearest change that helps, in a sentence.
    pub remedy: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The attempt ended here.
    Stop,
    /// It may well be the reason of a failure.
    Warning,
    /// It cost time alone.
    Slow,
}

/// The findings that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FindingId {
    /// Nobody answered the question for an address.
    NoAnswer,
    /// Offers lack option 54.
    OfferWithoutServerId,
    /// Offers lack option 1.
    OfferWithoutMask,
    /// Offers went to one address, although the client can only hear broadcasts.
    OfferNotBroadcast,
    /// Offers to UEFI HTTP boot lack option 60 `HTTPClient`.
    HttpOfferWithoutClass,
    /// Offers to UEFI HTTP boot name a file that is no URL.
    HttpOfferWithoutUrl,
    /// No offer names a boot file.
    OfferWithoutBootFile,
    /// The client took no offer, and the packets do not show why.
    NoRequest,
    /// The request for the address had no answer.
    RequestUnanswered,
    /// The server refused the address.
    Refused,
    /// Another host uses the address.
    AddressInUse,
    /// More than one DHCP server gives addresses.
    SeveralServers,
    /// The client took the offer of a server that does not boot it, though another one would have.
    OtherServerWon,
    /// The boot file is in the ACK alone.
    FileOnlyInAck,
    /// Option 60 `PXEClient` without option 43 sent the client to port 4011.
    #[serde(rename = "pxe-class-without-43")]
    PxeClassWithout43,
    /// The boot file has no server: iPXE ignores option 66.
    FileWithoutServer,
    /// The client never asked for the boot file.
    FileNeverAsked,
    /// The server has no such file.
    FileMissing,
    /// The server refused the file.
    FileRefused,
    /// Nobody serves files where the client looks for them.
    NoFileServer,
    /// The answer came from another address than the one that was asked.
    AnswerFromAnotherAddress,
    /// The file server did not answer.
    FileRequestUnanswered,
    /// The file server answered, and the client did not hear it.
    TransferNotBegun,
    /// The transfer ended in the middle.
    TransferStalled,
    /// The client gave the transfer up.
    TransferGivenUp,
    /// The loader arrived, and nothing came of it.
    NextStageNeverCame,
    /// The loader loads itself.
    ChainLoadLoop,
    /// iPXE waited for a router.
    SlowRouterWait,
    /// iPXE waited for proxy offers.
    SlowProxyWait,
    /// The first offer came late.
    SlowOffer,
}

impl FindingId {
    /// Returns the stable name in kebab case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoAnswer => "no-answer",
            Self::OfferWithoutServerId => "offer-without-server-id",
            Self::OfferWithoutMask => "offer-without-mask",
            Self::OfferNotBroadcast => "offer-not-broadcast",
            Self::HttpOfferWithoutClass => "http-offer-without-class",
            Self::HttpOfferWithoutUrl => "http-offer-without-url",
            Self::OfferWithoutBootFile => "offer-without-boot-file",
            Self::NoRequest => "no-request",
            Self::RequestUnanswered => "request-unanswered",
            Self::Refused => "refused",
            Self::AddressInUse => "address-in-use",
            Self::SeveralServers => "several-servers",
            Self::OtherServerWon => "other-server-won",
            Self::FileOnlyInAck => "file-only-in-ack",
            Self::PxeClassWithout43 => "pxe-class-without-43",
            Self::FileWithoutServer => "file-without-server",
            Self::FileNeverAsked => "file-never-asked",
            Self::FileMissing => "file-missing",
            Self::FileRefused => "file-refused",
            Self::NoFileServer => "no-file-server",
            Self::AnswerFromAnotherAddress => "answer-from-another-address",
            Self::FileRequestUnanswered => "file-request-unanswered",
            Self::TransferNotBegun => "transfer-not-begun",
            Self::TransferStalled => "transfer-stalled",
            Self::TransferGivenUp => "transfer-given-up",
            Self::NextStageNeverCame => "next-stage-never-came",
            Self::ChainLoadLoop => "chain-load-loop",
            Self::SlowRouterWait => "slow-router-wait",
            Self::SlowProxyWait => "slow-proxy-wait",
            Self::SlowOffer => "slow-offer",
        }
    }
}

/// Looks at all attempts of a machine. `until_us` is when watching ended: what is missing by then is judged by it.
pub(super) fn findings(sightings: &[Sighting], attempts: &[Attempt], until_us: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for index in 0..attempts.len() {
        let Some(scene) = Scene::new(sightings, attempts, index, until_us) else { continue };
        let stop = address::stop(&scene).or_else(|| files::stop(&scene));
        findings.extend(stop);
        findings.extend(whole::several_servers(&scene));
        findings.extend(whole::address_in_use(&scene));
        findings.extend(whole::waits(&scene));
    }
    whole::chain_load_loop(attempts, &mut findings);
    // The servers of a network are the same for each attempt.
    let mut named = false;
    findings
        .retain(|finding| finding.id != FindingId::SeveralServers || !std::mem::replace(&mut named, true));
    findings
}
