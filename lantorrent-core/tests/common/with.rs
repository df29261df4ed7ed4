//! Values of structs that may grow, which other crates cannot write as literals.

/// `base` with what `change` makes of it.
pub(crate) fn with<T>(mut base: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut base);
    base
}
