//! Transactions, revisions and the feed over typed objects.
