//! Values that packets are compared with, and that sets and maps hold.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The length of an interface's name with the zero byte at its end (`IFNAMSIZ`).
const NAME: usize = 16;

/// A value. Netfilter does not check types: the one to use is said by [`Field`](super::Field) and
/// [`Type`](super::Type).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// An address of either family.
    Address(IpAddr),
    /// A port.
    Port(u16),
    /// A protocol above IP, or a family of addresses.
    Byte(u8),
    /// A mark, bits of a state, a kind of address.
    Number(u32),
    /// An interface's name.
    Interface(String),
}

impl Value {
    /// As the kernel has it in a register or an element.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Value::Address(IpAddr::V4(address)) => address.octets().to_vec(),
            Value::Address(IpAddr::V6(address)) => address.octets().to_vec(),
            Value::Port(port) => port.to_be_bytes().to_vec(),
            Value::Byte(byte) => vec![*byte],
            Value::Number(number) => number.to_ne_bytes().to_vec(),
            Value::Interface(name) => {
                let mut bytes = name.as_bytes().to_vec();
                bytes.resize(NAME, 0);
                bytes
            }
        }
    }

    /// Several after one another, each filling whole registers of four bytes, unless there is but one.
    pub(super) fn concatenate(values: &[Value]) -> Vec<u8> {
        if let [value] = values {
            return value.bytes();
        }
        let mut bytes = Vec::new();
        for value in values {
            bytes.extend(value.bytes());
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Address(address) => address.fmt(f),
            Value::Port(port) => port.fmt(f),
            Value::Byte(byte) => byte.fmt(f),
            Value::Number(number) => write!(f, "{number:#x}"),
            Value::Interface(name) => write!(f, "{name:?}"),
        }
    }
}

impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Self {
        Value::Address(address)
    }
}

impl From<Ipv4Addr> for Value {
    fn from(address: Ipv4Addr) -> Self {
        Value::Address(address.into())
    }
}

impl From<Ipv6Addr> for Value {
    fn from(address: Ipv6Addr) -> Self {
        Value::Address(address.into())
    }
}

impl From<u8> for Value {
    fn from(byte: u8) -> Self {
        Value::Byte(byte)
    }
}

impl From<u16> for Value {
    fn from(port: u16) -> Self {
        Value::Port(port)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Number(number)
    }
}

impl From<&str> for Value {
    fn from(name: &str) -> Self {
        Value::Interface(name.into())
    }
}
