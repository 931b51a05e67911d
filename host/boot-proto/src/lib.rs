//! DHCP and TFTP: packet in, reply out.
