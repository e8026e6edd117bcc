//! Verbs about registrys.
