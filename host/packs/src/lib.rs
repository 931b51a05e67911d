//! Content packs: manifest, objects, components, digests.
