//! eBPF programs on cgroups (`bpf(2)`): the few instructions and commands that device rules need.
//!
//! Since Linux 5.11 programs are charged to the memory cgroup, so `RLIMIT_MEMLOCK` is left alone.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::sys::{check_long, owned_fd};

/// `BPF_PROG_TYPE_CGROUP_DEVICE`.
pub(crate) const PROGRAM_CGROUP_DEVICE: u32 = 15;
/// `BPF_CGROUP_DEVICE`, the place a program is attached to.
pub(crate) const CGROUP_DEVICE: u32 = 6;

const PROG_LOAD: libc::c_long = 5;
const PROG_ATTACH: libc::c_long = 8;
const PROG_DETACH: libc::c_long = 9;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const PROG_QUERY: libc::c_long = 16;

/// Programs of cgroups above and below are asked as well.
const ALLOW_MULTI: u32 = 1 << 1;
const REPLACE: u32 = 1 << 2;

/// One instruction (`struct bpf_insn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high one.
    registers: u8,
    /// How many instructions a jump skips, or where in memory.
    pub(crate) offset: i16,
    immediate: i32,
}

const LOAD_WORD: u8 = 0x61;
const AND_32: u8 = 0x54;
const SHIFT_RIGHT_32: u8 = 0x74;
const COPY: u8 = 0xbf;
const SET: u8 = 0xb7;
const JUMP_EQUAL_32: u8 = 0x16;
const JUMP_NOT_EQUAL_32: u8 = 0x56;
const EXIT: u8 = 0x95;

impl Instruction {
    const fn new(code: u8, registers: u8, immediate: i32) -> Self {
        Self {
            code,
            registers,
            offset: 0,
            immediate,
        }
    }

    /// `to = *(u32 *)(from + offset)`
    pub(crate) const fn load_word(to: u8, from: u8, offset: i16) -> Self {
        Self {
            offset,
            ..Self::new(LOAD_WORD, to | from << 4, 0)
        }
    }

    /// `register &= mask`
    pub(crate) const fn and(register: u8, mask: u32) -> Self {
        Self::new(AND_32, register, mask as i32)
    }

    /// `register >>= bits`
    pub(crate) const fn shift_right(register: u8, bits: i32) -> Self {
        Self::new(SHIFT_RIGHT_32, register, bits)
    }

    /// `to = from`
    pub(crate) const fn copy(to: u8, from: u8) -> Self {
        Self::new(COPY, to | from << 4, 0)
    }

    /// `register = value`
    pub(crate) const fn set(register: u8, value: i32) -> Self {
        Self::new(SET, register, value)
    }

    /// Jumps (its `offset` is to be filled in) unless the register has the value.
    pub(crate) const fn skip_unless_equal(register: u8, value: u32) -> Self {
        Self::new(JUMP_NOT_EQUAL_32, register, value as i32)
    }

    /// Jumps (its `offset` is to be filled in) if the register has the value.
    pub(crate) const fn skip_if_equal(register: u8, value: u32) -> Self {
        Self::new(JUMP_EQUAL_32, register, value as i32)
    }

    /// Ends with the answer in the first register.
    pub(crate) const fn exit() -> Self {
        Self::new(EXIT, 0, 0)
    }

    pub(crate) const fn is_jump(self) -> bool {
        matches!(self.code, JUMP_EQUAL_32 | JUMP_NOT_EQUAL_32)
    }
}

/// Arguments of `BPF_PROG_LOAD`, up to what is used.
#[derive(Default)]
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

/// Arguments of `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`.
#[derive(Default)]
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
    replaced: u32,
}

/// Arguments of `BPF_PROG_QUERY`.
#[derive(Default)]
#[repr(C)]
struct Query {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
    attach_flags_by_program: u64,
    link_ids: u64,
    link_attach_flags: u64,
    /// Newer kernels write here whatever size they are told.
    revision: u64,
}

/// Arguments of `BPF_PROG_GET_FD_BY_ID`.
#[derive(Default)]
#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

fn call<T>(command: libc::c_long, arguments: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the kernel reads and writes at most the size given; addresses inside point to what the caller keeps alive.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(arguments),
            size_of::<T>(),
        )
    };
    check_long(ret)
}

/// Loads a program; it is gone with the descriptor unless it is attached.
pub(crate) fn load(
    program_type: u32,
    attach_type: u32,
    code: &[Instruction],
) -> io::Result<OwnedFd> {
    let license = c"Apache-2.0";
    let mut arguments = Load {
        program_type,
        instruction_count: code.len() as u32,
        instructions: code.as_ptr() as u64,
        license: license.as_ptr() as u64,
        name: *b"proa_devices\0\0\0\0",
        attach_type,
        ..Load::default()
    };
    owned_fd(call(PROG_LOAD, &mut arguments)? as libc::c_int)
}

/// Attaches `program` to a cgroup, in the place of `replaced` if one is given.
pub(crate) fn attach(
    cgroup: &OwnedFd,
    program: &OwnedFd,
    attach_type: u32,
    replaced: Option<&OwnedFd>,
) -> io::Result<()> {
    let mut arguments = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type,
        flags: ALLOW_MULTI | if replaced.is_some() { REPLACE } else { 0 },
        replaced: replaced.map_or(0, |program| program.as_raw_fd() as u32),
    };
    call(PROG_ATTACH, &mut arguments).map(drop)
}

/// Takes `program` off a cgroup.
pub(crate) fn detach(cgroup: &OwnedFd, program: &OwnedFd, attach_type: u32) -> io::Result<()> {
    let mut arguments = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type,
        ..Attach::default()
    };
    call(PROG_DETACH, &mut arguments).map(drop)
}

/// The programs that are attached to the cgroup itself.
pub(crate) fn attached(cgroup: RawFd, attach_type: u32) -> io::Result<Vec<OwnedFd>> {
    let mut ids = [0u32; 16];
    let mut arguments = Query {
        target: cgroup as u32,
        attach_type,
        ids: ids.as_mut_ptr() as u64,
        count: ids.len() as u32,
        ..Query::default()
    };
    call(PROG_QUERY, &mut arguments)?;
    let count = arguments.count as usize;
    ids[..count.min(ids.len())]
        .iter()
        .map(|&id| by_id(id))
        .collect()
}

fn by_id(id: u32) -> io::Result<OwnedFd> {
    owned_fd(call(
        PROG_GET_FD_BY_ID,
        &mut ById {
            id,
            ..ById::default()
        },
    )? as libc::c_int)
}
