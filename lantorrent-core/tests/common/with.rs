//! Values of structs that may grow, which other crates cannot write as literals.

/// A value with other fields.
macro_rules! with {
    ($base:expr, $($field:ident: $value:expr),+ $(,)?) => {{
        let mut changed = $base;
        $(changed.$field = $value;)+
        changed
    }};
}
