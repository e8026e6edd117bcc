//! What virtiofsd asks of libcap-ng, answered by the system calls themselves (`capget(2)`, `prctl(2)`).
//!
//! As there, a thread edits a picture of its capabilities and then applies it. Names and signatures are those of the
//! binding crate that this one stands in for; nothing else of it exists here.
//!
//! Start at [`apply`].

use std::cell::Cell;
use std::ops::BitOr;

use rustix::thread::{CapabilitySet, CapabilitySets};

/// What is applied or cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// The thread's own sets.
    CAPS,
    /// Those, and what a program that it executes could gain.
    BOTH,
}

/// What to do with a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take it away.
    DROP,
    /// Give it.
    ADD,
}

/// Sets of a thread, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type(u8);

impl Type {
    /// What the kernel checks against.
    pub const EFFECTIVE: Type = Type(1);
    /// What a thread may make effective.
    pub const PERMITTED: Type = Type(2);

    fn holds(self, other: Type) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Type {
    type Output = Type;

    fn bitor(self, other: Type) -> Type {
        Type(self.0 | other.0)
    }
}

/// A capability's number (`linux/capability.h`).
pub type Capability = u32;

/// One edit.
#[derive(Clone, Copy, Debug)]
pub struct CUpdate {
    /// What to do.
    pub action: Action,
    /// In which sets.
    pub cap_type: Type,
    /// With which capability.
    pub capability: Capability,
}

/// The kernel or the name said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(&'static str);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Error {}

/// What every call here answers with.
pub type Result<T> = std::result::Result<T, Error>;

thread_local! {
    static PICTURE: Cell<Option<CapabilitySets>> = const { Cell::new(None) };
}

/// The number of a capability named without its `CAP_`.
pub fn name_to_capability(name: &str) -> Result<Capability> {
    let wanted = format!("CAP_{name}");
    let named = CapabilitySet::all()
        .iter_names()
        .find(|(known, _)| *known == wanted || *known == name);
    named
        .map(|(_, set)| set.bits().trailing_zeros())
        .ok_or(Error("there is no such capability"))
}

/// Takes the picture anew from the kernel.
pub fn get_caps_process() -> Result<()> {
    let sets = rustix::thread::capabilities(None).map_err(|_| Error("read the capabilities"))?;
    PICTURE.set(Some(sets));
    Ok(())
}

/// Removes everything from the picture.
pub fn clear(_set: Set) {
    PICTURE.set(Some(CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    }));
}

/// Edits the picture.
pub fn update(edits: Vec<CUpdate>) -> Result<()> {
    let mut sets = picture()?;
    for edit in edits {
        let bit = bit(edit.capability);
        let given = edit.action == Action::ADD;
        if edit.cap_type.holds(Type::EFFECTIVE) {
            sets.effective.set(bit, given);
        }
        if edit.cap_type.holds(Type::PERMITTED) {
            sets.permitted.set(bit, given);
        }
    }
    PICTURE.set(Some(sets));
    Ok(())
}

/// Whether the picture has it.
pub fn have_capability(which: Type, capability: Capability) -> bool {
    let bit = bit(capability);
    picture().is_ok_and(|sets| {
        (which.holds(Type::EFFECTIVE) && sets.effective.contains(bit))
            || (which.holds(Type::PERMITTED) && sets.permitted.contains(bit))
    })
}

/// Makes the kernel's view that of the picture.
pub fn apply(set: Set) -> Result<()> {
    let sets = picture()?;
    // First, because it takes a capability that may go with the next call.
    if set == Set::BOTH {
        for capability in CapabilitySet::all().difference(sets.permitted).iter() {
            // A kernel that does not know one, or a thread that may not: it has nothing to lose then.
            let _ = rustix::thread::remove_capability_from_bounding_set(capability);
        }
    }
    rustix::thread::set_capabilities(None, sets).map_err(|_| Error("set the capabilities"))
}

fn picture() -> Result<CapabilitySets> {
    match PICTURE.get() {
        Some(sets) => Ok(sets),
        None => rustix::thread::capabilities(None).map_err(|_| Error("read the capabilities")),
    }
}

fn bit(capability: Capability) -> CapabilitySet {
    CapabilitySet::from_bits_retain(1 << capability)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_kernels() {
        assert_eq!(name_to_capability("CHOWN"), Ok(0));
        assert_eq!(name_to_capability("FSETID"), Ok(4));
        assert_eq!(name_to_capability("DAC_READ_SEARCH"), Ok(2));
        assert!(name_to_capability("NO_SUCH").is_err());
    }

    #[test]
    fn a_thread_drops_one_and_takes_it_back() {
        std::thread::spawn(|| {
            let fsetid = name_to_capability("FSETID").expect("it exists");
            let edit = |action| {
                vec![CUpdate {
                    action,
                    cap_type: Type::EFFECTIVE,
                    capability: fsetid,
                }]
            };
            assert!(have_capability(Type::EFFECTIVE, fsetid));
            update(edit(Action::DROP)).expect("the picture is there");
            apply(Set::CAPS).expect("dropping is always allowed");
            let now = rustix::thread::capabilities(None).expect("the kernel tells");
            assert!(!now.effective.contains(CapabilitySet::FSETID));
            assert!(now.permitted.contains(CapabilitySet::FSETID));
            update(edit(Action::ADD)).expect("the picture is there");
            apply(Set::CAPS).expect("it is still permitted");
            let now = rustix::thread::capabilities(None).expect("the kernel tells");
            assert!(now.effective.contains(CapabilitySet::FSETID));
        })
        .join()
        .expect("the thread does not panic");
    }
}
