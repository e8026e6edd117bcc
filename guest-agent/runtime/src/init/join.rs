//! The helper: a short-lived child that joins namespaces which cannot be joined by the process itself, and makes the
//! new process as its own sibling.
//!
//! A PID namespace is only joined by children; a user namespace cannot be left again; and whoever waited inside would
//! block the end of the PID namespace. So the helper joins, clones with `CLONE_PARENT`, and is gone.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use proa_kernel::namespace::{self, Namespaces};
use proa_kernel::process::{self, CloneOptions, Cloned};

use super::child;
use super::protocol::{Channel, During, FromInit, broken};
use crate::start_error::{StartError, Step};

/// What the helper joins.
pub(super) enum Target<'a> {
    /// Several kinds of one process at once.
    Process(BorrowedFd<'a>, Namespaces),
    /// Kinds by descriptor.
    Each(&'a [(Namespaces, OwnedFd)]),
}

impl Target<'_> {
    fn join(&self) -> Result<(), StartError> {
        match self {
            Self::Process(_, kinds) if kinds.is_empty() => Ok(()),
            Self::Process(pidfd, kinds) => {
                namespace::enter(pidfd, *kinds).during(Step::JoinNamespace, "")
            }
            Self::Each(joins) => join_each(joins),
        }
    }
}

/// The user namespace comes last where the others belong to the host, first where they belong to it.
fn join_each(joins: &[(Namespaces, OwnedFd)]) -> Result<(), StartError> {
    let mut refused = Vec::new();
    for (kind, fd) in joins.iter().filter(|(kind, _)| *kind != Namespaces::USER) {
        match namespace::enter(fd, *kind) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => refused.push((kind, fd)),
            other => other.during(Step::JoinNamespace, "")?,
        }
    }
    for (kind, fd) in joins.iter().filter(|(kind, _)| *kind == Namespaces::USER) {
        namespace::enter(fd, *kind).during(Step::JoinNamespace, "user")?;
    }
    refused
        .iter()
        .try_for_each(|(kind, fd)| namespace::enter(fd, **kind).during(Step::JoinNamespace, ""))
}

/// Makes the process through a helper. `prepare` is done while the caller's namespaces are still around it; `joined` is done as soon
/// as it has joined what is to be joined; `run` is its life; it inherits the channel that the caller keeps the other end of.
pub(super) fn clone_beside(
    target: &Target<'_>,
    options: &CloneOptions<'_>,
    theirs: Channel,
    prepare: impl FnOnce() -> Result<(), StartError>,
    joined: impl FnOnce() -> Result<(), StartError>,
    run: impl FnOnce(Channel),
) -> Result<OwnedFd, StartError> {
    match process::clone3(&CloneOptions::default()).during(Step::Clone, "helper")? {
        Cloned::Parent { pidfd, .. } => {
            drop(theirs);
            Ok(pidfd)
        }
        Cloned::Child => {
            // Nobody inside may look into this process while it holds the host's descriptors.
            let _ = process::set_dumpable(false);
            let ready = prepare()
                .and_then(|()| target.join())
                .and_then(|()| joined());
            let made = ready.and_then(|()| {
                process::clone3(&CloneOptions {
                    sibling: true,
                    ..*options
                })
                .during(Step::Clone, "")
            });
            match made {
                Ok(Cloned::Child) => {
                    run(theirs);
                    process::exit_now(1)
                }
                Ok(Cloned::Parent { pid, pidfd }) => {
                    let _ = theirs.send(&FromInit::Cloned { pid }, &[pidfd.as_fd()]);
                    process::exit_now(0)
                }
                Err(error) => child::fail(Some(&theirs), error),
            }
        }
    }
}

/// What came of a clone through a helper.
pub(super) struct ClonedBeside {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    /// What the new process said before the helper had told its id.
    pub(super) early: Vec<(FromInit, Vec<OwnedFd>)>,
}

/// Hears the new process's id from the helper and reaps the helper.
pub(super) fn cloned(ours: &Channel, helper: &OwnedFd) -> Result<ClonedBeside, StartError> {
    let heard = hear(ours);
    process::wait(helper).map_err(broken)?;
    heard
}

fn hear(ours: &Channel) -> Result<ClonedBeside, StartError> {
    let mut early = Vec::new();
    loop {
        match ours.receive().map_err(broken)? {
            Some((FromInit::Cloned { pid }, fds)) => {
                let pidfd = fds.into_iter().next().ok_or_else(lost)?;
                return Ok(ClonedBeside { pid, pidfd, early });
            }
            Some(other) => early.push(other),
            // Nothing was cloned: the helper's own failure is all that was said.
            None => {
                return Err(match early.pop() {
                    Some((FromInit::Failed(error), _)) => error,
                    _ => lost(),
                });
            }
        }
    }
}

fn lost() -> StartError {
    broken(std::io::Error::from_raw_os_error(libc::EPIPE))
}
