//! The sandbox with real components: those of `plugins/`, and those of `tests/guests/` that misbehave.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod compiling;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod prepare;
#[cfg(test)]
mod support;
#[cfg(test)]
mod worlds;
