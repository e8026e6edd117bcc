//! The product on the host: finding and driving an engine; the facade of every face.
