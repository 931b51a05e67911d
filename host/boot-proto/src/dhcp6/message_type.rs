//! The kinds of message between clients and servers.

/// The message types of RFC 8415 section 7.3, without those of relay agents, which are envelopes here
/// ([`super::Relay`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of RFC 8415 section 7.3")]
pub enum MessageType {
    Solicit,
    Advertise,
    Request,
    Confirm,
    Renew,
    Rebind,
    Reply,
    Release,
    Decline,
    Reconfigure,
    InformationRequest,
}

impl MessageType {
    /// All of them, in the order of their codes, which begin with 1.
    const ALL: [Self; 11] = [
        Self::Solicit,
        Self::Advertise,
        Self::Request,
        Self::Confirm,
        Self::Renew,
        Self::Rebind,
        Self::Reply,
        Self::Release,
        Self::Decline,
        Self::Reconfigure,
        Self::InformationRequest,
    ];

    /// Returns the code on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        (1..).zip(Self::ALL).find(|(_, kind)| *kind == self).map_or(0, |(code, _)| code)
    }

    /// Reads the code on the wire.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// Tells whether only servers send it.
    #[must_use]
    pub fn is_from_server(self) -> bool {
        matches!(self, Self::Advertise | Self::Reply | Self::Reconfigure)
    }
}
