//! Message in, verdict out (RFC 8415 section 18.3).

use std::net::Ipv6Addr;

use super::compose::{Answer, Status};
use super::config::{BootUrls, Network, Reservations};
use super::declined::Declined;
use super::rules;
use super::verdict::{Arrival, Client, Reason, Reply, SERVER_PORT, Verdict};
use crate::dhcp6::{Association, Duid, MessageType, Packet, code};

/// More associations than this in one message get no answer: a network card has one, two in odd cases. All answers to
/// them together fit into a packet of every link.
const MAX_ASSOCIATIONS: usize = 4;

/// What a decision is made from.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The network of the client's link; `None` where there is none.
    pub network: Option<&'a Network>,
    /// This server.
    pub server_id: &'a Duid,
    /// Addresses of certain machines.
    pub reservations: &'a dyn Reservations,
    /// Addresses that are in use by somebody else.
    pub declined: &'a Declined,
    /// What to boot.
    pub boot: &'a dyn BootUrls,
}

/// Decides what to answer to a packet. Reads only.
pub fn decide(context: &Context<'_>, packet: &Packet, arrival: &Arrival, now_ms: u64) -> Verdict {
    let message = &packet.message;
    if let Err(reason) = rules::check(message, context.server_id) {
        return Verdict::silence(reason);
    }
    let Some(network) = context.network else {
        return Verdict::silence(Reason::NoNetwork);
    };
    let client = Client { duid: message.client_id(), hardware: packet.hardware(*arrival.peer.ip()) };
    let associations = message.associations().into_iter().take(MAX_ASSOCIATIONS).collect();
    let decision = Decision { context, network, packet, arrival, client, associations, now_ms };
    let mut verdict = decision.verdict();
    verdict.client = Some(decision.client);
    verdict
}

/// One message with all that bears on it.
pub(super) struct Decision<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) network: &'a Network,
    pub(super) packet: &'a Packet,
    pub(super) arrival: &'a Arrival,
    pub(super) client: Client,
    pub(super) associations: Vec<Association>,
    pub(super) now_ms: u64,
}

impl Verdict {
    fn silence(reason: Reason) -> Self {
        Self {
            reply: None,
            client: None,
            given: Vec::new(),
            released: Vec::new(),
            declined: Vec::new(),
            reason,
        }
    }

    fn reply(reply: Reply, reason: Reason) -> Self {
        Self { reply: Some(reply), ..Self::silence(reason) }
    }
}

impl Decision<'_> {
    fn verdict(&self) -> Verdict {
        let kind = self.packet.message.kind;
        let by_unicast = self.arrival.unicast && self.arrival.server_port == SERVER_PORT;
        if by_unicast && self.packet.relays.is_empty() {
            return match rules::is_told_to_use_multicast(kind) {
                true => Verdict::reply(self.status_reply(Status::UseMulticast), Reason::Unicast),
                false => Verdict::silence(Reason::Unicast),
            };
        }
        match kind {
            MessageType::Solicit => self.solicit(),
            MessageType::Request => self.request(),
            MessageType::Renew => self.extend(true),
            MessageType::Rebind => self.extend(false),
            MessageType::Confirm => self.confirm(),
            MessageType::Release | MessageType::Decline => self.give_back(),
            MessageType::InformationRequest => Verdict::reply(self.options_reply(), Reason::Informed),
            MessageType::Advertise | MessageType::Reply | MessageType::Reconfigure => {
                Verdict::silence(Reason::NotARequest)
            }
        }
    }

    fn solicit(&self) -> Verdict {
        if self.network.prefix.is_none() {
            return Verdict::silence(Reason::Stateless);
        }
        let rapid = self.network.rapid_commit && self.packet.message.options.contains(code::RAPID_COMMIT);
        let (answers, given) = self.assign(|_| false);
        if rapid && !given.is_empty() {
            let reply = self.address_reply(MessageType::Reply, &answers);
            return Verdict { given, ..Verdict::reply(reply, Reason::Assigned) };
        }
        let reason = if given.is_empty() { Reason::NoAddress } else { Reason::Advertised };
        Verdict::reply(self.address_reply(MessageType::Advertise, &answers), reason)
    }

    /// RFC 8415 section 18.3.2.
    fn request(&self) -> Verdict {
        let (answers, given) = self.assign(|association| self.is_of_another_link(association));
        let not_on_link = answers.iter().any(|answer| answer.status == Some(Status::NotOnLink));
        let reason = match (given.is_empty(), not_on_link) {
            (false, _) => Reason::Assigned,
            (true, true) => Reason::NotOnLink,
            (true, false) => Reason::NoAddress,
        };
        Verdict { given, ..Verdict::reply(self.address_reply(MessageType::Reply, &answers), reason) }
    }

    /// Answers a client that has addresses and wants to keep them (RFC 8415 sections 18.3.4 and 18.3.5).
    ///
    /// What it may not keep ends at once, and what it should have comes with it. A client that asks any server is
    /// left alone when none of its addresses is from here: another server may have given them.
    fn extend(&self, asks_us: bool) -> Verdict {
        if self.network.prefix.is_none() && !asks_us {
            return Verdict::silence(Reason::Stateless);
        }
        let known = |association: &Association| {
            let possible = self.addresses_of(association);
            association.addresses.iter().any(|address| possible.contains(address))
        };
        if !asks_us && !self.associations.iter().any(known) {
            return Verdict::silence(Reason::NotOurs);
        }
        let (mut answers, given) = self.assign(|_| false);
        for (answer, association) in answers.iter_mut().zip(&self.associations) {
            let ended = association.addresses.iter().filter(|address| Some(**address) != answer.address);
            answer.ended = ended.copied().collect();
            let nothing_known = answer.address.is_none() && answer.ended.is_empty();
            answer.status = nothing_known.then_some(Status::NoBinding);
        }
        let reason = if given.is_empty() { Reason::NoAddress } else { Reason::Extended };
        Verdict { given, ..Verdict::reply(self.address_reply(MessageType::Reply, &answers), reason) }
    }

    /// RFC 8415 section 18.3.3: says whether the client is still on the link that its addresses are of.
    fn confirm(&self) -> Verdict {
        let Some(prefix) = self.network.prefix else {
            return Verdict::silence(Reason::Stateless);
        };
        let mut addresses =
            self.associations.iter().flat_map(|association| &association.addresses).peekable();
        if addresses.peek().is_none() {
            return Verdict::silence(Reason::NoAssociation);
        }
        if addresses.all(|address| prefix.contains(*address)) {
            Verdict::reply(self.status_reply(Status::Success), Reason::OnLink)
        } else {
            Verdict::reply(self.status_reply(Status::NotOnLink), Reason::NotOnLink)
        }
    }

    /// RFC 8415 sections 18.3.7 and 18.3.8: Release and Decline.
    fn give_back(&self) -> Verdict {
        let mut given_back = Vec::new();
        let mut answers = Vec::new();
        for association in &self.associations {
            let possible = self.addresses_of(association);
            let before = given_back.len();
            given_back.extend(association.addresses.iter().filter(|address| possible.contains(address)));
            if given_back.len() == before {
                answers.push(Answer { status: Some(Status::NoBinding), ..Answer::new(association.id) });
            }
        }
        let reply = self.given_back_reply(&answers);
        if self.packet.message.kind == MessageType::Decline {
            Verdict { declined: given_back, ..Verdict::reply(reply, Reason::Declined) }
        } else {
            Verdict { released: given_back, ..Verdict::reply(reply, Reason::Released) }
        }
    }

    /// Chooses an address for each association but those that `refuse` says.
    fn assign(&self, refuse: impl Fn(&Association) -> bool) -> (Vec<Answer>, Vec<Ipv6Addr>) {
        let (mut answers, mut given) = (Vec::new(), Vec::new());
        for association in &self.associations {
            let mut answer = Answer::new(association.id);
            if refuse(association) {
                answer.status = Some(Status::NotOnLink);
            } else if let Some(address) = self.address_for(association, &given) {
                answer.address = Some(address);
                given.push(address);
            } else {
                answer.status = Some(Status::NoAddressAvailable);
            }
            answers.push(answer);
        }
        (answers, given)
    }

    fn is_of_another_link(&self, association: &Association) -> bool {
        let foreign =
            |address: &Ipv6Addr| self.network.prefix.is_some_and(|prefix| !prefix.contains(*address));
        association.addresses.iter().any(foreign)
    }
}
