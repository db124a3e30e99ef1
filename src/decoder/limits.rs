//! How large what a body says may be.

use std::borrow::Cow;

use crate::context::Full;

/// How large what a body says may be. A body that exceeds one of these is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep values may lie in one another. Sixty parents and two hundred nested arrays, the deepest
    /// that the serializers were seen to write, fit; a thread with 2 MiB of stack bears it in a debug build.
    pub nesting: usize,
    /// How many members, entries and items there may be in all.
    pub attributes: usize,
    /// How many bytes the context made of a body may take.
    pub expansion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            nesting: 256,
            attributes: 200_000,
            expansion: 64 << 20,
        }
    }
}

impl Limits {
    /// What to say where there is too much of something.
    pub(super) fn reason(&self, full: Full) -> Cow<'static, str> {
        match full {
            Full::Values => format!("more than {} values", self.attributes).into(),
            Full::Bytes => format!("more than {} bytes when decoded", self.expansion).into(),
        }
    }

    pub(super) fn too_deep(&self) -> Cow<'static, str> {
        format!("nested deeper than {} levels", self.nesting).into()
    }
}
