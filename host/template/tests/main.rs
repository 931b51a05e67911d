//! Templates from outside: results that Go gives, limits, and hostile input.

// The attributes tell clippy that helpers are tests as well.
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod rules;
