//! System call filters: rules by name become a program of classic BPF instructions.
//!
//! A [`Filter`] says which calls get which answer; [`compile`] turns it into the bytes that [`crate::filter::load`]
//! installs. Compiling is pure and takes well under a millisecond; callers keep what they compiled.
//!
//! Always true, as libseccomp and runc have it
//! * The machine's own architecture is always covered. A call of an architecture that is not covered kills its thread.
//! * A rule without conditions beats rules with conditions for the same call. Names that an architecture does not have
//!   are ignored there.
//! * Where calls are refused with an error by default, those newer than every one the rules name get `ENOSYS`, so that C
//!   libraries fall back to older ones.
//!
//! Does not know: capabilities, profiles, OCI documents.
//!
//! Start at [`compile`].

mod compile;
mod emit;
mod multiplex;
mod table;
#[cfg(test)]
mod tests;

pub use compile::{Program, SeccompError, compile};

/// What happens to a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The whole process is killed.
    KillProcess,
    /// The thread is killed.
    KillThread,
    /// The thread gets SIGSYS.
    Trap(u16),
    /// The call fails with this error number.
    Errno(u16),
    /// A supervisor that listens decides.
    Notify,
    /// A tracer is told, with this number.
    Trace(u16),
    /// The call is made and logged.
    Log,
    /// The call is made.
    Allow,
}

impl Action {
    /// What the program returns (`SECCOMP_RET_*`).
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::KillProcess => 0x8000_0000,
            Self::KillThread => 0,
            Self::Trap(number) => 0x0003_0000 | u32::from(number),
            Self::Errno(number) => 0x0005_0000 | u32::from(number),
            Self::Notify => 0x7fc0_0000,
            Self::Trace(number) => 0x7ff0_0000 | u32::from(number),
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }
}

/// A calling convention that programs may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Architecture {
    X86_64,
    X86,
    /// 32-bit pointers on x86_64.
    X32,
    Aarch64,
    Arm,
}

/// x32 calls are x86_64 calls with this bit in their number.
const X32_BIT: u32 = 0x4000_0000;

impl Architecture {
    /// The one this program was built for.
    pub const NATIVE: Self = if cfg!(target_arch = "aarch64") {
        Self::Aarch64
    } else {
        Self::X86_64
    };

    /// From the OCI name: `SCMP_ARCH_X86_64` and so on; `None` for those this is not built for.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "SCMP_ARCH_X86_64" => Some(Self::X86_64),
            "SCMP_ARCH_X86" => Some(Self::X86),
            "SCMP_ARCH_X32" => Some(Self::X32),
            "SCMP_ARCH_AARCH64" => Some(Self::Aarch64),
            "SCMP_ARCH_ARM" => Some(Self::Arm),
            _ => None,
        }
    }

    /// What the kernel calls it (`AUDIT_ARCH_*`); x32 shares that of x86_64.
    pub(crate) fn token(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Whether arguments have 64 bits.
    fn is_wide(self) -> bool {
        match self {
            Self::X86_64 | Self::X32 | Self::Aarch64 => true,
            Self::X86 | Self::Arm => false,
        }
    }

    fn column(self) -> usize {
        match self {
            Self::X86_64 => 0,
            Self::X86 => 1,
            Self::X32 => 2,
            Self::Aarch64 => 3,
            Self::Arm => 4,
        }
    }
}

/// The number of the system call `name`, without the x32 bit; `None` if `architecture` has no such call.
pub fn number_of(architecture: Architecture, name: &str) -> Option<u32> {
    let at = table::TABLE
        .binary_search_by_key(&name, |(name, _)| name)
        .ok()?;
    u32::try_from(table::TABLE[at].1[architecture.column()]).ok()
}

/// Whether any architecture has a system call of that name.
pub fn is_known(name: &str) -> bool {
    table::TABLE
        .binary_search_by_key(&name, |(name, _)| name)
        .is_ok()
}

/// Every system call of `architecture`: name and number, without the x32 bit.
pub fn calls(architecture: Architecture) -> impl Iterator<Item = (&'static str, u32)> {
    let number = move |numbers: &[i32; 5]| u32::try_from(numbers[architecture.column()]).ok();
    table::TABLE
        .iter()
        .filter_map(move |(name, numbers)| Some((*name, number(numbers)?)))
}

/// Which calls get which answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// For calls that no rule matches.
    pub default: Action,
    /// Architectures beside [`Architecture::NATIVE`] that may be used.
    pub architectures: Vec<Architecture>,
    /// In no particular order but for rules with conditions on the same call, of which the first that matches counts.
    pub rules: Vec<Rule>,
}

/// The answer to some calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The calls.
    pub names: Vec<String>,
    /// The answer.
    pub action: Action,
    /// All of these hold; but if two are about the same argument, it is enough that one holds.
    pub conditions: Vec<Condition>,
}

/// A condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which argument, 0…5.
    pub argument: u8,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: u64,
}

/// How an argument is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// The argument's bits under this mask are the value.
    MaskedEqual(u64),
}
