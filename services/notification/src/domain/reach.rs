//! Which addresses may be called on behalf of a partner. A url can name anything, also what stands behind the
//! shop's own walls; so the address that is *connected to* is judged, after the name was resolved, once.
//!
//! Everything that is not public on the whole internet is refused, however it is written: also inside an IPv6
//! address that carries an IPv4 one. Receivers inside are allowed by a list in the configuration.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

/// A range of addresses: `10.1.0.0/16`, `fd00::/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    first: IpAddr,
    bits: u8,
}

/// Why a text is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRange(String);

impl fmt::Display for NoRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is neither an address nor a range such as 10.1.0.0/16", self.0)
    }
}

impl std::error::Error for NoRange {}

impl FromStr for Range {
    type Err = NoRange;
    fn from_str(text: &str) -> Result<Self, NoRange> {
        let wrong = || NoRange(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = width(first);
        let bits = bits.unwrap_or(width);
        if bits > width { Err(wrong()) } else { Ok(Self { first, bits }) }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl Range {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let width = width(self.first);
        let outside = u32::from(width - self.bits);
        // A shift by the whole width is not defined; a range of no bits has everything.
        let network = |value: u128| value.checked_shr(outside).unwrap_or(0);
        width == self::width(address) && network(number(self.first)) == network(number(address))
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// What may be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    allowed: Vec<Range>,
}

impl Reach {
    /// Public addresses, and these.
    pub fn and(allowed: Vec<Range>) -> Self {
        Self { allowed }
    }

    /// Reads the list of a configuration: ranges with commas between them.
    ///
    /// # Errors
    /// The first text that is no range.
    pub fn parse(list: &str) -> Result<Self, NoRange> {
        let texts = list.split(',').map(str::trim).filter(|text| !text.is_empty());
        Ok(Self { allowed: texts.map(str::parse).collect::<Result<_, _>>()? })
    }

    /// Whether this address is on the list. Only there a call may go without TLS.
    pub fn lists(&self, address: IpAddr) -> bool {
        self.allowed.iter().any(|range| range.contains(address))
    }

    /// Whether this address may be called.
    pub fn permits(&self, address: IpAddr) -> bool {
        self.lists(address) || is_public(address)
    }
}

/// Whether an address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        0 | 10 | 127 => true,
        100 => (64..128).contains(&b),
        169 => b == 254,
        172 => (16..32).contains(&b),
        192 => b == 168 || (b == 0 && (c == 0 || c == 2)) || (b == 88 && c == 99),
        198 => b == 18 || b == 19 || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        // Multicast, reserved, broadcast.
        _ => a >= 224,
    };
    !special
}

/// Only 2000::/3 is given out at all. What carries an IPv4 address inside is as public as that one.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let carried = |high: u16, low: u16| {
        let [x, y] = high.to_be_bytes();
        let [z, w] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(x, y, z, w))
    };
    let is_mapped = [a, b, c, d, e] == [0; 5] && f == 0xffff;
    let is_translated = [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0];
    if is_mapped || is_translated {
        return carried(g, h);
    }
    match a {
        // 6to4.
        0x2002 => carried(b, c),
        // Teredo, ORCHID, benchmarking and other protocol assignments; documentation.
        0x2001 => b >= 0x200 && b != 0xdb8,
        0x3fff => b >= 0x1000,
        _ => (0x2000..0x4000).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn addresses_inside_may_not_be_called() {
        let inside = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "3fff::1",
            "4000::1",
        ];
        for text in inside {
            assert!(!Reach::default().permits(address(text)), "{text}");
        }
    }

    #[test]
    fn public_addresses_may_be_called() {
        let outside = [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "126.1.1.1",
            "169.253.1.1",
            "172.15.1.1",
            "172.32.1.1",
            "192.0.3.1",
            "192.167.1.1",
            "198.17.1.1",
            "198.20.1.1",
            "203.0.114.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:4860:4860::8888",
            "2002:808:808::1",
            "2606:4700::1111",
        ];
        for text in outside {
            assert!(Reach::default().permits(address(text)), "{text}");
        }
    }

    #[test]
    fn a_list_allows_more_and_nothing_else() {
        let reach = Reach::parse("127.0.0.0/8, ::1,10.1.2.3 ").expect("ranges");
        for text in ["127.0.0.1", "127.9.9.9", "::1", "10.1.2.3", "8.8.8.8"] {
            assert!(reach.permits(address(text)), "{text}");
        }
        for text in ["10.1.2.4", "128.0.0.1.1", "::2", "::ffff:127.0.0.1", "192.168.0.1"] {
            let permitted = text.parse().is_ok_and(|address| reach.permits(address));
            assert!(!permitted, "{text}");
        }
        assert!(!reach.lists(address("8.8.8.8")), "public, but not on the list");
        assert!(Reach::parse("0.0.0.0/0").expect("everything").lists(address("10.0.0.1")));
        assert_eq!(Reach::parse(" , "), Ok(Reach::default()));
        for bad in ["10.0.0.0/33", "::/129", "localhost", "10.0.0", "10.0.0.0/", "10.0.0.0/8/8", "/8"] {
            assert!(Reach::parse(bad).is_err(), "{bad}");
        }
    }
}
