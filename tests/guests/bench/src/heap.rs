//! A heap that begins in the memory that an instance is born with.
//!
//! The usual heap asks for more memory at its first allocation. Growing changes the page tables, and giving the memory back
//! after the call changes them again; each time every processor of the host has to take note. That costs as much as all the
//! rest of a small call, and more when several run at once.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::memory_grow;
use core::cell::{Cell, UnsafeCell};

use dlmalloc::{Allocator, Dlmalloc};

/// Bytes that are there from the start. Pages of it that are never touched take no memory of the host.
const ARENA_BYTES: usize = 128 << 10;

/// What WebAssembly calls a page.
const PAGE_BYTES: usize = 64 << 10;

#[repr(align(16))]
struct Arena(UnsafeCell<[u8; ARENA_BYTES]>);

struct Heap(UnsafeCell<Dlmalloc<Pages>>);

/// Where the heap gets its memory from: the arena first, then new pages.
struct Pages {
    arena_given: Cell<bool>,
}

static ARENA: Arena = Arena(UnsafeCell::new([0; ARENA_BYTES]));

#[global_allocator]
static HEAP: Heap =
    Heap(UnsafeCell::new(Dlmalloc::new_with_allocator(Pages { arena_given: Cell::new(false) })));

#[expect(unsafe_code, reason = "a guest has one thread")]
// SAFETY: a guest has one thread.
unsafe impl Sync for Arena {}

#[expect(unsafe_code, reason = "a guest has one thread")]
// SAFETY: a guest has one thread.
unsafe impl Sync for Heap {}

#[expect(unsafe_code, reason = "memory that nobody else has is what an allocator hands out")]
// SAFETY: the arena is handed out once, and new pages belong to whoever asked for them.
unsafe impl Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        if size <= ARENA_BYTES && !self.arena_given.replace(true) {
            return (ARENA.0.get().cast(), ARENA_BYTES, 0);
        }
        let pages = size.div_ceil(PAGE_BYTES);
        match memory_grow(0, pages) {
            usize::MAX => (core::ptr::null_mut(), 0, 0),
            first => ((first * PAGE_BYTES) as *mut u8, pages * PAGE_BYTES, 0),
        }
    }

    fn remap(&self, _at: *mut u8, _old: usize, _new: usize, _may_move: bool) -> *mut u8 {
        core::ptr::null_mut()
    }

    fn free_part(&self, _at: *mut u8, _old: usize, _new: usize) -> bool {
        false
    }

    fn free(&self, _at: *mut u8, _size: usize) -> bool {
        false
    }

    fn can_release_part(&self, _flags: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_BYTES
    }
}

#[expect(unsafe_code, reason = "the trait is unsafe; all is handed on")]
// SAFETY: a guest has one thread and an allocator does not call itself, so nothing else refers to the heap meanwhile.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { (*self.0.get()).free(at, layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe { (*self.0.get()).realloc(at, layout.size(), layout.align(), size) }
    }
}
