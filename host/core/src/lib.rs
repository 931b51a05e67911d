//! What happens next: pure decisions over the objects.
