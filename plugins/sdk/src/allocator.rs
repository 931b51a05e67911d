//! The memory allocator of components.

use dlmalloc::GlobalDlmalloc;

/// Takes the memory that the component starts with first, and grows it only after that. A small call that grows nothing
/// leaves the host no pages to protect again.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;
