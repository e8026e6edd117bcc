//! Containers, execs, volumes, logs, events: the engine's rules and state.
