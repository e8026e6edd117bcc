//! Reads `json-file` and `local` logs back, across rotated files.
