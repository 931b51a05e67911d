//! Programs by which the kernel chooses frames (classic BPF).
//!
//! A load beyond the end of a frame drops it, so none of them looks at lengths.

use nix::libc;
use socket2::SockFilter;

/// What a program does next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Loads the byte at an offset.
    Byte(u32),
    /// Loads the two bytes at an offset.
    Short(u32),
    /// Takes the length of the IPv4 header at an offset as the base of the loads below.
    Header(u32),
    /// Loads the byte at an offset behind that header.
    ByteBehind(u32),
    /// Loads the two bytes at an offset behind that header.
    ShortBehind(u32),
    /// Drops the frame unless the loaded value is this.
    Is(u32),
    /// Passes over the next step where the loaded value is this.
    Either(u32),
    /// Drops the frame where any of these bits is set.
    Lacks(u32),
}

/// Ethernet: where the type is and where the payload begins.
const ETHERNET_TYPE: u32 = 12;
const ETHERNET: u32 = 14;

/// IPv4: the fragment's offset in its two bytes, and the protocol.
const IP_FRAGMENT: u32 = 6;
const IP_FRAGMENT_OFFSET: u32 = 0x1fff;
const IP_PROTOCOL: u32 = 9;

/// Replies of DHCP servers to clients and to relay agents (RFC 2131 section 4.1), in Ethernet frames. Requests that
/// relay agents hand on go between the same ports, hence the look at the operation.
pub(crate) fn dhcp_replies() -> Vec<SockFilter> {
    const UDP: u32 = 8;
    const BOOT_REPLY: u32 = 2;
    program(&[
        Step::Short(ETHERNET_TYPE),
        Step::Is(libc::ETH_P_IP as u32),
        Step::Byte(ETHERNET + IP_PROTOCOL),
        Step::Is(libc::IPPROTO_UDP as u32),
        Step::Short(ETHERNET + IP_FRAGMENT),
        Step::Lacks(IP_FRAGMENT_OFFSET),
        Step::Header(ETHERNET),
        Step::ShortBehind(ETHERNET),
        Step::Is(67),
        Step::ShortBehind(ETHERNET + 2),
        Step::Either(68),
        Step::Is(67),
        Step::ByteBehind(ETHERNET + UDP),
        Step::Is(BOOT_REPLY),
    ])
}

/// Answers of ARP for IPv4, in Ethernet frames. Its requests are broadcast and by far the most of its frames.
pub(crate) fn arp_replies() -> Vec<SockFilter> {
    const ARP_REPLY: u32 = 2;
    program(&[
        Step::Short(ETHERNET_TYPE),
        Step::Is(libc::ETH_P_ARP as u32),
        Step::Short(ETHERNET + 2),
        Step::Is(libc::ETH_P_IP as u32),
        Step::Short(ETHERNET + 6),
        Step::Is(ARP_REPLY),
    ])
}

/// ICMP echo replies to one identifier, in IPv4 packets.
pub(crate) fn echo_replies(identifier: u16) -> Vec<SockFilter> {
    const ECHO_REPLY: u32 = 0;
    program(&[
        Step::Short(IP_FRAGMENT),
        Step::Lacks(IP_FRAGMENT_OFFSET),
        Step::Header(0),
        Step::ByteBehind(0),
        Step::Is(ECHO_REPLY),
        Step::ShortBehind(4),
        Step::Is(u32::from(identifier)),
    ])
}

/// Puts the steps in front of "take it whole" and "drop it".
fn program(steps: &[Step]) -> Vec<SockFilter> {
    let instruction = |(index, step): (usize, &Step)| {
        let drop = u8::try_from(steps.len() - index).unwrap_or(u8::MAX);
        match *step {
            Step::Byte(offset) => load(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, offset),
            Step::Short(offset) => load(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, offset),
            Step::Header(offset) => load(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, offset),
            Step::ByteBehind(offset) => load(libc::BPF_LD | libc::BPF_B | libc::BPF_IND, offset),
            Step::ShortBehind(offset) => load(libc::BPF_LD | libc::BPF_H | libc::BPF_IND, offset),
            Step::Is(value) => jump(libc::BPF_JEQ, value, 0, drop),
            Step::Either(value) => jump(libc::BPF_JEQ, value, 1, 0),
            Step::Lacks(bits) => jump(libc::BPF_JSET, bits, drop, 0),
        }
    };
    let ends = [load(libc::BPF_RET | libc::BPF_K, u32::MAX), load(libc::BPF_RET | libc::BPF_K, 0)];
    steps.iter().enumerate().map(instruction).chain(ends).collect()
}

fn load(code: u32, value: u32) -> SockFilter {
    SockFilter::new(code as u16, 0, 0, value)
}

fn jump(condition: u32, value: u32, on_true: u8, on_false: u8) -> SockFilter {
    SockFilter::new((libc::BPF_JMP | condition | libc::BPF_K) as u16, on_true, on_false, value)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::raw::frame::{UdpFrame, arp_request};

    /// Runs a program in the kernel, on a pair of sockets that needs no rights, and tells which frames it lets through.
    fn passed(program: &[SockFilter], frames: &[Vec<u8>]) -> Vec<bool> {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        socket2::SockRef::from(&receiver).attach_filter(program).unwrap();
        receiver.set_nonblocking(true).unwrap();
        let mut buffer = [0; 2000];
        let pass = |frame: &Vec<u8>| {
            sender.send(frame).unwrap();
            receiver.recv(&mut buffer).map(|len| assert_eq!(&buffer[..len], frame)).is_ok()
        };
        frames.iter().map(pass).collect()
    }

    fn udp(source: u16, target: u16, operation: u8) -> Vec<u8> {
        let address = |port| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), port);
        let payload = [operation; 300];
        let frame = UdpFrame {
            source_mac: [2; 6],
            target_mac: [0xff; 6],
            source: address(source),
            target: address(target),
            payload: &payload,
        };
        frame.encode().unwrap()
    }

    /// Inserts four bytes of options into the IPv4 header.
    fn with_options(mut frame: Vec<u8>) -> Vec<u8> {
        frame[14] = 0x46;
        frame.splice(34..34, [1, 1, 1, 0]);
        frame
    }

    fn changed(mut frame: Vec<u8>, offset: usize, value: u8) -> Vec<u8> {
        frame[offset] = value;
        frame
    }

    #[test]
    fn replies_of_dhcp_servers_pass_and_nothing_else() {
        let passing = [udp(67, 68, 2), udp(67, 67, 2), with_options(udp(67, 68, 2))];
        assert_eq!(passed(&dhcp_replies(), &passing), [true; 3]);
        let dropped = [
            udp(68, 67, 1),
            udp(67, 67, 1),
            udp(67, 69, 2),
            udp(69, 68, 2),
            udp(2000, 2001, 2),
            changed(udp(67, 68, 2), 23, 6),
            changed(udp(67, 68, 2), 21, 1),
            changed(udp(67, 68, 2), 13, 6),
            udp(67, 68, 2)[..40].to_vec(),
            vec![0],
        ];
        assert_eq!(passed(&dhcp_replies(), &dropped), [false; 10]);
    }

    #[test]
    fn answers_of_arp_pass_and_requests_do_not() {
        let request = arp_request([2; 6], Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST);
        let reply = changed(request.clone(), 21, 2);
        let frames = [reply.clone(), request, changed(reply, 13, 0), udp(67, 68, 2)];
        assert_eq!(passed(&arp_replies(), &frames), [true, false, false, false]);
    }

    #[test]
    fn echo_replies_pass_where_the_identifier_is_ours() {
        let packet = |kind: u8, identifier: u8| {
            let mut packet = vec![0; 36];
            (packet[0], packet[20], packet[25]) = (0x45, kind, identifier);
            packet
        };
        let frames = [packet(0, 7), packet(0, 8), packet(8, 7), packet(3, 7)];
        assert_eq!(passed(&echo_replies(7), &frames), [true, false, false, false]);
    }
}
