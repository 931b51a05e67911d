//! Archives through the real child.

#[cfg(test)]
mod archives;
