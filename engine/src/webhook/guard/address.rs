//! What kind of place an address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What kind of place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressClass {
    /// Reachable over the internet.
    Public,
    /// This machine: 127.0.0.0/8 and `::1`.
    Loopback,
    /// Private networks, link-local, multicast, documentation, tunnels, reserved: everything else.
    Internal,
}

/// Networks of IPv4 that are not public (IANA's special-purpose registry), besides loopback.
const INTERNAL_V4: [(Ipv4Addr, u8); 14] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Networks inside the global unicast space 2000::/3 that are not public targets: protocol assignments with Teredo,
/// documentation, 6to4.
const INTERNAL_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const NAT64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

impl AddressClass {
    /// The class of an address.
    ///
    /// Of the addresses of IPv6 that carry one of IPv4, those of NAT64 (64:ff9b::/96) are what the carried one is;
    /// all others (mapped, compatible, translated, ISATAP, 6to4, Teredo) are internal whatever they carry.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        if address.is_loopback() {
            Self::Loopback
        } else if INTERNAL_V4.iter().any(|(network, prefix)| v4_within(address, *network, *prefix)) {
            Self::Internal
        } else {
            Self::Public
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address.is_loopback() {
            return Self::Loopback;
        }
        if v6_within(address, NAT64.0, NAT64.1) {
            let [.., a, b, c, d] = address.octets();
            // A translator does not lead to this machine's own loopback, but perhaps to its own.
            return match Self::of_v4(Ipv4Addr::new(a, b, c, d)) {
                Self::Public => Self::Public,
                Self::Loopback | Self::Internal => Self::Internal,
            };
        }
        let [_, _, _, _, interface_high, interface_low, _, _] = address.segments();
        let isatap = matches!(interface_high, 0 | 0x200) && interface_low == 0x5efe;
        let internal = INTERNAL_V6.iter().any(|(network, prefix)| v6_within(address, *network, *prefix));
        if v6_within(address, GLOBAL_V6.0, GLOBAL_V6.1) && !internal && !isatap { Self::Public } else { Self::Internal }
    }
}

/// A network that the operator allows: `10.0.0.0/8`, `fd00::/8`, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => v4_within(address, network, self.prefix),
            (IpAddr::V6(network), IpAddr::V6(address)) => v6_within(address, network, self.prefix),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// A text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address and a prefix length, for example 10.0.0.0/8")]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let prefix_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(prefix_max), |prefix| prefix.parse().map_err(|_| NetworkError))?;
        if prefix <= prefix_max { Ok(Self { address, prefix }) } else { Err(NetworkError) }
    }
}

fn v4_within(address: Ipv4Addr, network: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    (address.to_bits() ^ network.to_bits()) & mask == 0
}

fn v6_within(address: Ipv6Addr, network: Ipv6Addr, prefix: u8) -> bool {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    (address.to_bits() ^ network.to_bits()) & mask == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn check(class: AddressClass, addresses: &str) {
        for text in addresses.split_whitespace() {
            assert_eq!(AddressClass::of(text.parse().expect(text)), class, "{text}");
        }
    }

    #[test]
    fn addresses_of_ipv4_are_told_apart() {
        // Every special network is internal, at both of its ends; its neighbours are public.
        check(AddressClass::Loopback, "127.0.0.1 127.0.0.0 127.0.0.254 127.254.254.254 127.255.255.255");
        check(
            AddressClass::Internal,
            "0.0.0.0 0.1.2.3 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 169.254.0.0 \
             169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.8 192.0.0.255 192.0.2.1 \
             192.88.99.0 192.88.99.255 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.7 203.0.113.255 \
             224.0.0.0 239.255.255.250 239.255.255.255 240.0.0.0 255.255.255.254 255.255.255.255",
        );
        check(
            AddressClass::Public,
            "1.0.0.0 1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 \
             169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 \
             192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 \
             203.0.112.255 203.0.114.0 223.255.255.255 8.8.8.8",
        );
    }

    #[test]
    fn addresses_of_ipv6_are_told_apart() {
        // Only global unicast is public, without its documentation, tunnel and protocol networks.
        check(AddressClass::Loopback, "::1 0000:0000:0000:0000:0000:0000:0000:0001");
        check(
            AddressClass::Internal,
            ":: ::2 fe80:: fe80::1 febf:ffff::1 fc00:: fdff::1 fd00:ec2::254 fec0::1 feff::1 ff00:: ff02::1 ff0e::1 \
             2001:db8:: 2001:db8:ffff::1 3fff:: 3fff:fff:ffff::1 100::1 100:0:0:1:: 5f00::1 2001:: 2001:1ff:ffff::1 \
             2001:10::1 2001:20::1 2001:0:53aa:64c::1 2002:: 2002:7f00:1:: 2002:808:808::1 4000::1 1fff::1 64:ff9b:1::1 \
             64:ff9b:1:ffff::808:808",
        );
        check(
            AddressClass::Public,
            "2000::1 2001:200::1 2001:4860:4860::8888 2606:4700::1111 2003::1 2001:db7:ffff::1 2001:db9::1 3fff:1000::1 \
             3ffe::1 2a00:1450::1",
        );
    }

    #[test]
    fn ipv4_inside_ipv6_is_not_a_way_around() {
        // Mapped, compatible, translated and ISATAP forms are internal whatever they carry.
        check(
            AddressClass::Internal,
            "::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:7f00:1 0000:0000:0000:0000:0000:ffff:7f00:0001 ::127.0.0.1 ::7f00:1 \
             ::8.8.8.8 ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 ::5efe:127.0.0.1 fe80::5efe:8.8.8.8 \
             2606:4700::5efe:10.0.0.1 2606:4700::200:5efe:10.0.0.1 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1",
        );
        check(AddressClass::Public, "64:ff9b::8.8.8.8");
    }

    proptest! {
        #[test]
        fn nat64_is_what_it_carries(bits in any::<u32>()) {
            // Public if and only if the carried address is.
            let carried = Ipv4Addr::from_bits(bits);
            let wrapped = Ipv6Addr::from_bits(NAT64.0.to_bits() | u128::from(bits));
            let public = |address: IpAddr| AddressClass::of(address) == AddressClass::Public;
            assert_eq!(public(wrapped.into()), public(carried.into()), "{carried}");
        }
    }

    #[test]
    fn networks_are_read_and_bounded() {
        // An address and a prefix length, or an address alone; a whole family is /0.
        let table = [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "10.1.2.3", true),
            ("0.0.0.0/0", "fd00::1", false),
            ("fd00::/8", "fdff::1", true),
            ("::/0", "fdff::1", true),
        ];
        for (network, address, contains) in table {
            let network: Network = network.parse().expect(network);
            assert_eq!(network.contains(address.parse().expect(address)), contains, "{network:?} {address}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "10/8", "localhost"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
    }
}
